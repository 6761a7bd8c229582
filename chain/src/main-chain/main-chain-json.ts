import { bytesToHex } from '../bytes/hex.ts'
import { compactToTarget } from '../elastos/difficulty.ts'
import { encodeAuxPow } from '../elastos/aux-pow.ts'
import type { DecodedBlock } from '../elastos/block.ts'
import type { Confirm } from '../elastos/confirm.ts'
import { formatElaAddress } from '../elastos/ela-address.ts'
import { formatEla } from '../elastos/ela-amount.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { toDisplayHash, ZERO_INTERNAL_HASH } from '../elastos/hash-orientation.ts'
import type { DecodedTransaction } from '../elastos/transaction.ts'
import { outputKindNumbers } from '../elastos/transaction-output.ts'
import type { BlockNode, MainLedger } from './main-ledger.ts'
import type { Utxo } from './utxo-set.ts'

/** A Confirm as `getconfirmbyhash` shows it where the bytes are not asked for. */
export function confirmJson({ proposal, votes }: Confirm) {
  return {
    blockhash: toDisplayHash(proposal.blockHash),
    sponsor: bytesToHex(proposal.sponsor),
    viewoffset: proposal.viewOffset,
    votes: votes.map(({ signer, accept }) => ({
      signer: bytesToHex(signer),
      accept: accept === 1,
    })),
  }
}

/** One entry of `listunspent`, as an Elastos node writes it. */
export function utxoJson(utxo: Utxo, tipHeight: number) {
  return {
    txtype: utxo.transactionType,
    txid: toDisplayHash(utxo.transactionId),
    assetid: toDisplayHash(ELA_ASSET_ID),
    vout: utxo.index,
    address: formatElaAddress(utxo.output.programHash),
    amount: formatEla(utxo.output.value),
    outputlock: utxo.output.outputLock,
    confirmations: tipHeight - utxo.height + 1,
  }
}

/** `getblock` with verbosity 1 (ids) or 2 (whole transactions). */
export function blockJson(ledger: MainLedger, node: BlockNode, block: DecodedBlock, full: boolean) {
  const { header } = node
  const next = ledger.isBest(node) ? ledger.at(header.height + 1) : undefined
  const limit = compactToTarget(ledger.rules.params.powLimitBits)
  return {
    hash: toDisplayHash(node.hash),
    confirmations: ledger.isBest(node) ? ledger.height - header.height + 1 : 0,
    strippedsize: node.size,
    size: node.size,
    weight: node.size * 4,
    height: header.height,
    version: header.version,
    versionhex: header.version.toString(16).padStart(8, '0'),
    merkleroot: toDisplayHash(header.merkleRoot),
    tx: full
      ? block.transactions.map((transaction) => transactionJson(transaction, ledger, node))
      : block.transactions.map(({ id }) => toDisplayHash(id)),
    time: header.timestamp,
    mediantime: header.timestamp,
    nonce: header.nonce,
    bits: header.bits,
    difficulty: String(limit / (compactToTarget(header.bits) || 1n)),
    chainwork: node.work.toString(16).padStart(8, '0'),
    previousblockhash: toDisplayHash(header.previous),
    nextblockhash: toDisplayHash(next?.hash ?? ZERO_INTERNAL_HASH),
    auxpow: bytesToHex(encodeAuxPow(block.auxPow)),
    minerinfo: minerInfo(block),
  }
}

function minerInfo(block: DecodedBlock): string {
  const payload = block.transactions[0]?.transaction.payload
  return payload?.kind === 'coinbase' ? Buffer.from(payload.content).toString('utf8') : ''
}

/** `getrawtransaction` with verbose true; `node` is the block that holds it, if any. */
export function transactionJson(
  { transaction, id, raw }: DecodedTransaction,
  ledger: MainLedger,
  node: BlockNode | undefined,
) {
  const txid = toDisplayHash(id)
  return {
    txid,
    hash: txid,
    size: raw.length,
    vsize: raw.length,
    version: transaction.version,
    locktime: transaction.lockTime,
    vin: transaction.inputs.map((input) => ({
      txid: toDisplayHash(input.transactionId),
      vout: input.index,
      sequence: input.sequence,
    })),
    vout: transaction.outputs.map((output, n) => ({
      value: formatEla(output.value),
      n,
      address: formatElaAddress(output.programHash),
      assetid: toDisplayHash(output.assetId),
      outputlock: output.outputLock,
      type: outputKindNumbers[output.payload.kind],
      payload: output.payload.kind === 'none' ? null : plainJson(output.payload),
    })),
    blockhash: node ? toDisplayHash(node.hash) : '',
    confirmations: node ? ledger.height - node.header.height + 1 : 0,
    time: node?.header.timestamp ?? 0,
    blocktime: node?.header.timestamp ?? 0,
    type: transaction.type,
    payloadversion: transaction.payloadVersion,
    payload: plainJson(transaction.payload),
    attributes: transaction.attributes.map(({ usage, data }) => ({
      usage,
      data: bytesToHex(data),
    })),
    programs: transaction.programs.map(({ code, parameter }) => ({
      code: bytesToHex(code),
      parameter: bytesToHex(parameter),
    })),
  }
}

/** Bytes as hex in internal order, amounts as decimal text. */
function plainJson(value: object): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, field: unknown) => {
      if (field instanceof Uint8Array) return bytesToHex(field)
      return typeof field === 'bigint' ? formatEla(field) : field
    }),
  )
}
