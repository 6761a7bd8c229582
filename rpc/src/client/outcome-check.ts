import { bytesEqual, checkListProof, fromHex } from '@ioex/chain/bytes'
import type { FinalHeader } from '@ioex/chain/light'
import {
  type Receipt,
  RECEIPTS_PER_BLOCK_MAX,
  ReceiptType,
  TRANSACTION_BYTES_MAX,
  TransactionBodyType,
  TRANSACTIONS_PER_BLOCK_MAX,
  TransactionType,
} from '@ioex/chain/types'
import type { ListProofJson } from '../contract/json-forms.ts'
import type { ResultOf } from '../contract/methods.ts'
import type { OutcomeView } from './chain-view.ts'
import { decodeRecord } from './record-reader.ts'
import { RpcError } from './rpc-error.ts'

const RECEIPT_BYTES_MAX = 4096

type FinalStatus = ResultOf<'chain_waitTransaction'>

/**
 * Checks a node's word that a transaction is final: it and each receipt stand, by proof, in the
 * block whose header we know to be final. (That no receipt was left out is not proven by this.)
 */
export function checkOutcome(id: string, status: FinalStatus, known: FinalHeader): OutcomeView {
  const { ssz, index, proof, receiptProofs = [] } = status
  if (ssz === null || index === null || !proof) throw unproven('the proof is missing')
  const transaction = decodeRecord(TransactionType, ssz, TRANSACTION_BYTES_MAX)
  if (!bytesEqual(TransactionBodyType.hashTreeRoot(transaction.body), fromHex(id))) {
    throw unproven('it is another transaction')
  }
  const leaf = TransactionType.hashTreeRoot(transaction)
  checkProof(proof, leaf, known.header.txRoot, TRANSACTIONS_PER_BLOCK_MAX)
  if (proof.index !== index || receiptProofs.length !== status.receipts.length) {
    throw unproven('the proofs do not fit the answer')
  }
  const receipts = status.receipts.map(({ ssz: receiptSsz }, i) => {
    const receipt = decodeRecord(ReceiptType, receiptSsz, RECEIPT_BYTES_MAX) as Receipt
    const receiptProof = receiptProofs[i] as ListProofJson
    const root = ReceiptType.hashTreeRoot(receipt)
    checkProof(receiptProof, root, known.header.receiptRoot, RECEIPTS_PER_BLOCK_MAX)
    if (receipt.transaction !== index) throw unproven('a receipt is of another transaction')
    return receipt
  })
  return { height: known.header.height, receipts }
}

function checkProof(proof: ListProofJson, leaf: Uint8Array, root: Uint8Array, limit: number): void {
  const { index } = proof
  const branch = proof.branch.map(hash32)
  const checked = checkListProof({ leaf, index, branch, root }, limit)
  if (!checked.ok) throw unproven(checked.fault.message)
}

function hash32(text: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(text)) throw unproven('a hash is malformed')
  return fromHex(text)
}

function unproven(why: string): RpcError {
  return new RpcError('BAD_RESPONSE', `a node claims an outcome that it does not prove: ${why}`)
}
