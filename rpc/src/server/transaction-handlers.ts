import { bytesEqual, bytesToHex, proveListElement } from '@ioex/chain/bytes'
import {
  HeaderType,
  RECEIPTS_PER_BLOCK_MAX,
  type Receipt,
  ReceiptType,
  TRANSACTIONS_PER_BLOCK_MAX,
  TransactionType,
} from '@ioex/chain/types'
import type { ListProofJson } from '../contract/json-forms.ts'
import type { ResultOf } from '../contract/methods.ts'
import { sszToJson } from '../contract/ssz-json.ts'
import type { BlockWaits } from './block-waits.ts'
import { certificateHex } from './block-handlers.ts'
import type { Handlers } from './handler.ts'
import type { LedgerBlock, LedgerSource, TransactionPlace } from './ledger-source.ts'
import { assertWhole } from './pruned-transactions.ts'
import { receiptView } from './record-views.ts'
import { notFound, RpcFault } from './rpc-fault.ts'
import { readHex } from './subjects.ts'

type TransactionStatus = ResultOf<'chain_getTransaction'>

export function transactionHandlers(ledger: LedgerSource, waits: BlockWaits) {
  return {
    async chain_getTransaction({ id, prove }) {
      const key = readHex(id)
      const place = await ledger.transactionPlace(key)
      if (place) return finalStatus(ledger, key, place, prove ?? false)
      if (ledger.isPending(key)) return withoutBlock(key, 'pending')
      throw notFound('no such transaction here: it was never sent, or has expired')
    },
    async chain_waitTransaction({ id, timeoutMs = 0, prove }, { signal }) {
      const key = readHex(id)
      const find = async () => ledger.transactionPlace(key)
      const place = await waits.until(find, timeoutMs, signal)
      if (place) return finalStatus(ledger, key, place, prove ?? false)
      return withoutBlock(key, ledger.isPending(key) ? 'pending' : 'unknown')
    },
    async chain_sendTransaction({ transaction }) {
      const outcome = await ledger.submit(readHex(transaction))
      if (!outcome.ok) throw RpcFault.ofRule(outcome.fault)
      return { id: bytesToHex(outcome.value) }
    },
  } satisfies Handlers
}

function withoutBlock(id: Uint8Array, state: 'pending' | 'unknown'): TransactionStatus {
  return {
    id: bytesToHex(id),
    state,
    transaction: null,
    height: null,
    index: null,
    receipts: [],
    ssz: null,
  }
}

async function finalStatus(
  ledger: LedgerSource,
  id: Uint8Array,
  { height, index }: TransactionPlace,
  prove: boolean,
): Promise<TransactionStatus> {
  const prefix = ledger.params.addressPrefix
  const block = await ledger.block(height)
  const transaction = block?.transactions[index]
  if (!block || !transaction) throw notFound(`block ${height} is not on this node any more`)
  assertWhole(block, transaction)
  const receipts = block.receipts.filter((receipt) => receipt.transaction === index)
  return {
    id: bytesToHex(id),
    state: 'final',
    transaction: sszToJson(TransactionType, transaction, prefix),
    height,
    index,
    receipts: receipts.map((receipt) => receiptView(receipt, prefix)),
    ssz: bytesToHex(TransactionType.serialize(transaction)),
    ...(prove && {
      proof: transactionProof(block, index),
      receiptProofs: receiptProofs(block, receipts),
    }),
  }
}

function receiptProofs(block: LedgerBlock, receipts: readonly Receipt[]): ListProofJson[] {
  const roots = receiptRoots(block)
  return receipts.map((receipt) => receiptProof(block, receipt, roots))
}

function transactionProof(block: LedgerBlock, index: number): ListProofJson {
  const roots = block.transactions.map((each) => TransactionType.hashTreeRoot(each))
  return listProof(block, 'txRoot', roots, TRANSACTIONS_PER_BLOCK_MAX, index)
}

/** Roots of a block's receipts: hashed once for all proofs of the block. */
export function receiptRoots(block: LedgerBlock): Uint8Array[] {
  return block.receipts.map((each) => ReceiptType.hashTreeRoot(each))
}

export function receiptProof(
  block: LedgerBlock,
  receipt: Receipt,
  roots: readonly Uint8Array[] = receiptRoots(block),
): ListProofJson {
  const position = block.receipts.findIndex((each) => each.index === receipt.index)
  return listProof(block, 'receiptRoot', roots, RECEIPTS_PER_BLOCK_MAX, position)
}

function listProof(
  { header, certificate }: LedgerBlock,
  field: 'txRoot' | 'receiptRoot',
  roots: readonly Uint8Array[],
  limit: number,
  index: number,
): ListProofJson {
  const proof = proveListElement(roots, limit, index)
  if (!bytesEqual(proof.root, header[field])) {
    throw new Error(`the stored block ${header.height} does not give its header's ${field}`)
  }
  return {
    field,
    leaf: bytesToHex(proof.leaf),
    index,
    branch: proof.branch.map((hash) => bytesToHex(hash)),
    root: bytesToHex(proof.root),
    height: header.height,
    header: bytesToHex(HeaderType.serialize(header)),
    certificate: certificateHex(certificate),
  }
}
