import { bytesEqual, fault, ok, parseHex, type Result } from '@ioex/chain/bytes'
import {
  asInternalHash,
  BLOCK_BYTES_MAX,
  type BlockPrefix,
  checkAuxPow,
  checkConfirm,
  checkSideAuxPow,
  type Confirm,
  decodeAuxPow,
  decodeBlock,
  decodeBlockPrefix,
  decodeConfirm,
  decodeDposBlock,
  decodeHeader,
  decodeHeaderWithAuxPow,
  decodeMerkleBlock,
  decodeSideAuxPow,
  decodeSideBlock,
  decodeTransaction,
  type Dialect,
  type ForeignTransaction,
  HEADER_BYTES,
  headerHash,
  isSideChainPowSignedBy,
  merkleRoot,
  parseCode,
  proposalHash,
  resolvePartialTree,
  type SideAuxPow,
} from '@ioex/chain/elastos'
import {
  auxPowJson,
  checkHeaderProof,
  fullHeaderJson,
  headerJson,
  isHash,
  isNamed,
} from './describe-header.ts'
import type { DecodeKind } from './decode-kinds.ts'
import { checkTransactionAlone, transactionJson } from './describe-transaction.ts'
import { bitsJson, hashJson, plainJson } from './plain-json.ts'
import { Verdict } from './verdict.ts'

export interface DecodeOptions {
  /** The hash the object must have, or the proof must be for; 32 bytes. */
  readonly against: Uint8Array | undefined
  /** Genesis of the side chain whose proof it must be, internal order. */
  readonly genesis: Uint8Array | undefined
  /** Whether a transaction is of the main chain or of a classic side chain. */
  readonly dialect: Dialect
}

/**
 * Decodes hex of a kind and says whether it is valid. Undecodable bytes are not an error but an
 * answer: `valid` false with the reason. Only text that is no hex is a fault.
 */
export function decodeText(kind: DecodeKind, hex: string, options: DecodeOptions): Result<object> {
  const bytes = parseHex(hex, BLOCK_BYTES_MAX)
  return bytes.ok ? ok(decodeBytes(kind, bytes.value, options)) : bytes
}

function decodeBytes(kind: DecodeKind, bytes: Uint8Array, options: DecodeOptions): object {
  const verdict = new Verdict()
  const fields = describers[kind](bytes, verdict, options)
  return { kind, bytes: bytes.length, ...verdict.json(), ...fields }
}

type Describer = (bytes: Uint8Array, verdict: Verdict, options: DecodeOptions) => object

const describers: Record<DecodeKind, Describer> = {
  header: describeHeader,
  auxpow: describeAuxPow,
  'side-auxpow': describeSideAuxPow,
  transaction: describeTransaction,
  block: describeBlock,
  'merkle-block': describeMerkleBlock,
  confirm: describeConfirm,
  address: () => ({}),
}

/** Takes a decoder's answer: the value, or undefined with the fault booked. */
function decoded<T>(verdict: Verdict, result: Result<T>): T | undefined {
  verdict.take('bytes', result)
  return result.ok ? result.value : undefined
}

/** 84 bytes alone, or with the AuxPow and the ending byte. */
function describeHeader(bytes: Uint8Array, verdict: Verdict, { against }: DecodeOptions): object {
  if (bytes.length === HEADER_BYTES) {
    const header = decoded(verdict, decodeHeader(bytes))
    if (!header) return {}
    const hash = headerHash(header)
    if (against) verdict.take('against', isNamed(against, hash, 'header'))
    return { ...headerJson(header, hash), auxPow: null }
  }
  const header = decoded(verdict, wholeHeader(bytes))
  if (!header) return {}
  checkHeaderProof(verdict, header, against)
  if (against) verdict.take('against', isNamed(against, header.hash, 'header'))
  return fullHeaderJson(header)
}

function wholeHeader(bytes: Uint8Array) {
  const header = decodeHeaderWithAuxPow(bytes)
  if (!header.ok || header.value.length === bytes.length) return header
  const rest = bytes.length - header.value.length
  return fault('MAIN_BYTES_TRAILING', `${rest} bytes follow the object`)
}

/** Without `against` only the layout can be judged: an AuxPow does not name its block. */
function describeAuxPow(bytes: Uint8Array, verdict: Verdict, { against }: DecodeOptions): object {
  const auxPow = decoded(verdict, decodeAuxPow(bytes))
  if (!auxPow) return {}
  if (against) verdict.take('against', checkAuxPow(auxPow, asInternalHash(against)))
  return auxPowJson(auxPow)
}

function describeSideAuxPow(bytes: Uint8Array, verdict: Verdict, options: DecodeOptions): object {
  const proof = decoded(verdict, decodeSideAuxPow(bytes))
  if (!proof) return {}
  checkProof(verdict, proof, options)
  return {
    transaction: transactionJson(proof.transaction),
    branch: proof.branch.map(hashJson),
    index: proof.index,
    mainHeader: fullHeaderJson(proof.mainHeader),
    signedByPayer: isSignedByPayer(proof),
  }
}

/** The side target is not in the proof: the main header's own, which is harder, is applied. */
function checkProof(verdict: Verdict, proof: SideAuxPow, options: DecodeOptions): void {
  const { payload } = proof.transaction.transaction
  const isPow = payload.kind === 'side-chain-pow'
  const own = isPow ? payload : { sideBlockHash: undefined, sideGenesisHash: undefined }
  const unknown = asInternalHash(new Uint8Array(32))
  const given = (bytes: Uint8Array | undefined) => (bytes ? asInternalHash(bytes) : undefined)
  const checked = checkSideAuxPow(proof, {
    blockHash: given(options.against) ?? own.sideBlockHash ?? unknown,
    genesisHash: given(options.genesis) ?? own.sideGenesisHash ?? unknown,
    bits: proof.mainHeader.header.bits,
  })
  verdict.take('proof', checked)
  if (!isPow) return
  verdict.expect(
    'signature',
    payload.signature.length === 64,
    'MAIN_ANCHOR_SIGNATURE',
    'the payload carries no signature of an arbiter',
  )
}

/** In the classic form the arbiter pays the fee with the key that signs the payload. */
function isSignedByPayer({ transaction }: SideAuxPow): boolean {
  return transaction.transaction.programs.some((program) => {
    const code = parseCode(program.code)
    if (!code.ok || code.value.kind !== 'standard') return false
    return isSideChainPowSignedBy(transaction, code.value.publicKey)
  })
}

function describeTransaction(bytes: Uint8Array, verdict: Verdict, options: DecodeOptions): object {
  const transaction = decoded(verdict, decodeTransaction(bytes, options.dialect))
  if (!transaction) return {}
  checkTransactionAlone(verdict, transaction)
  if (options.against) {
    verdict.take('against', isNamed(options.against, transaction.id, 'transaction'))
  }
  return transactionJson(transaction)
}

/** A main block, also with its Confirm behind it, or the block of a classic side chain. */
function describeBlock(bytes: Uint8Array, verdict: Verdict, options: DecodeOptions): object {
  const main = decodeBlock(bytes)
  const dpos = main.ok ? undefined : decodeDposBlock(bytes)
  const side = main.ok || dpos?.ok ? undefined : decodeSideBlock(bytes)
  if (side?.ok) return describeSideBlock(side.value, verdict, options)
  const prefix = main.ok || dpos?.ok ? undefined : decodeBlockPrefix(bytes)
  if (prefix?.ok && prefix.value.foreign) {
    return describeBlockPrefix(prefix.value, prefix.value.foreign, bytes.length, verdict, options)
  }
  const block = dpos?.ok ? dpos.value.block : decoded(verdict, main)
  if (!block) return {}
  const ids = block.transactions.map(({ id }) => id)
  checkHeaderProof(verdict, block, options.against)
  checkRoot(verdict, ids, block.header.merkleRoot)
  for (const transaction of block.transactions) checkTransactionAlone(verdict, transaction)
  if (options.against) verdict.take('against', isNamed(options.against, block.hash, 'block'))
  const confirm = dpos?.ok ? dpos.value.confirm : undefined
  if (confirm) verdict.take('confirm', checkConfirm(confirm, block.hash))
  return {
    chain: 'main',
    header: fullHeaderJson(block),
    transactions: block.transactions.map(transactionJson),
    ...(confirm && { confirm: confirmJson(confirm) }),
  }
}

/**
 * Blocks of the main network hold votes and producers every day. What can be checked then is the
 * header, its work, and what stands before the first such transaction; `complete` is false.
 */
function describeBlockPrefix(
  block: BlockPrefix,
  foreign: ForeignTransaction,
  length: number,
  verdict: Verdict,
  options: DecodeOptions,
): object {
  checkHeaderProof(verdict, block, options.against)
  for (const transaction of block.transactions) checkTransactionAlone(verdict, transaction)
  if (options.against) verdict.take('against', isNamed(options.against, block.hash, 'block'))
  return {
    chain: 'main',
    complete: false,
    header: fullHeaderJson(block),
    transactionCount: block.transactionCount,
    transactions: block.transactions.map(transactionJson),
    undecoded: {
      ...foreign,
      typeByte: `0x${foreign.type.toString(16).padStart(2, '0')}`,
      bytes: length - foreign.offset,
      transactions: block.transactionCount - foreign.index,
      reason: 'type not known here: where it ends, what follows and the Merkle root are unchecked',
    },
  }
}

type SideBlock = Extract<ReturnType<typeof decodeSideBlock>, { ok: true }>['value']

function describeSideBlock(block: SideBlock, verdict: Verdict, options: DecodeOptions): object {
  const isGenesis = block.header.height === 0
  verdict.take('bytes', ok())
  checkRoot(
    verdict,
    block.transactions.map(({ id }) => id),
    block.header.merkleRoot,
  )
  if (!isGenesis) checkProof(verdict, block.proof, { ...options, against: block.hash })
  if (options.against) verdict.take('against', isNamed(options.against, block.hash, 'block'))
  return {
    chain: 'side',
    header: { ...headerJson(block.header, block.hash), bits: bitsJson(block.header.bits) },
    proof: {
      transaction: transactionJson(block.proof.transaction),
      branch: block.proof.branch.map(hashJson),
      index: block.proof.index,
      mainHeader: fullHeaderJson(block.proof.mainHeader),
    },
    transactions: block.transactions.map(transactionJson),
  }
}

function checkRoot(verdict: Verdict, ids: Parameters<typeof merkleRoot>[0], root: Uint8Array) {
  verdict.expect(
    'merkleRoot',
    ids.length > 0 && bytesEqual(merkleRoot(ids), root),
    'MAIN_BLOCK_ROOT',
    'the transactions do not give the Merkle root of the header',
  )
}

/** `against` names the block, or a transaction that the block must show. */
function describeMerkleBlock(bytes: Uint8Array, verdict: Verdict, options: DecodeOptions): object {
  const block = decoded(verdict, decodeMerkleBlock(bytes))
  if (!block) return {}
  const { against } = options
  checkHeaderProof(verdict, block.header, against)
  const tree = resolvePartialTree(block.tree)
  verdict.take('tree', tree)
  const matches = tree.ok ? tree.value.matches : []
  if (tree.ok) {
    verdict.expect(
      'merkleRoot',
      bytesEqual(tree.value.root, block.header.header.merkleRoot),
      'MAIN_BLOCK_ROOT',
      'the partial tree does not lead to the Merkle root of the header',
    )
  }
  if (against) {
    const named = isHash(against, block.header.hash) || matches.some((m) => isHash(against, m.id))
    const message = 'neither the block nor a transaction that it shows has this hash'
    verdict.expect('against', named, 'MAIN_HASH_OTHER', message)
  }
  return {
    header: fullHeaderJson(block.header),
    transactions: block.tree.transactionCount,
    hashes: block.tree.hashes.map(hashJson),
    flags: plainJson(block.tree.flags, 'flags'),
    matches: matches.map(({ index, id }) => ({ index, txid: hashJson(id) })),
  }
}

/** Whose votes count, and how many are enough, follows from the arbiters of that height. */
function describeConfirm(bytes: Uint8Array, verdict: Verdict, { against }: DecodeOptions): object {
  const confirm = decoded(verdict, decodeConfirm(bytes))
  if (!confirm) return {}
  verdict.take('confirm', checkConfirm(confirm))
  if (against) {
    verdict.expect(
      'against',
      isHash(against, confirm.proposal.blockHash),
      'MAIN_CONFIRM_BLOCK',
      'the Confirm is of another block',
    )
  }
  return confirmJson(confirm)
}

function confirmJson(confirm: Confirm): object {
  return {
    proposal: {
      hash: hashJson(proposalHash(confirm.proposal)),
      ...(plainJson(confirm.proposal) as object),
    },
    votes: confirm.votes.map((vote) => plainJson(vote)),
  }
}
