import { bytesEqual, fromHex, parseHex, type Result } from '@ioex/chain/bytes'
import { type FinalHeader, verifyReceiptIn, verifyTransactionIn } from '@ioex/chain/light'
import { type Receipt, TRANSACTION_BYTES_MAX, TransactionBodyType } from '@ioex/chain/types'
import type { ListProofJson } from '../contract/json-forms.ts'
import type { ResultOf } from '../contract/methods.ts'
import { readBlockBranch } from './proof-reader.ts'
import { RpcError } from './rpc-error.ts'

/** What became of a transaction. */
export interface FinalOutcome {
  readonly height: number
  readonly receipts: readonly Receipt[]
}

type FinalStatus = ResultOf<'chain_waitTransaction'>
type VerifyIn<T> = (...shown: Parameters<typeof verifyReceiptIn>) => Result<T>

/**
 * Checks a node's word that a transaction is final: it and each receipt stand, by proof, in the
 * block whose header we know to be final. (That no receipt was left out is not proven by this.)
 */
export function checkOutcome(id: string, status: FinalStatus, known: FinalHeader): FinalOutcome {
  const { ssz, index, proof, receiptProofs = [] } = status
  if (ssz === null || index === null || !proof) throw unproven('the proof is missing')
  const transaction = shownIn(known, verifyTransactionIn, ssz, proof)
  if (!bytesEqual(TransactionBodyType.hashTreeRoot(transaction.body), fromHex(id))) {
    throw unproven('it is another transaction')
  }
  if (proof.index !== index || receiptProofs.length !== status.receipts.length) {
    throw unproven('the proofs do not fit the answer')
  }
  const receipts = status.receipts.map((view, i) => {
    const receipt = shownIn(known, verifyReceiptIn, view.ssz, receiptProofs[i] as ListProofJson)
    if (receipt.transaction !== index) throw unproven('a receipt is of another transaction')
    return receipt
  })
  return { height: known.header.height, receipts }
}

/** An element of a block's list by its proof; throws where that does not lead to the header. */
export function shownIn<T>(
  { header }: FinalHeader,
  verify: VerifyIn<T>,
  ssz: string,
  json: ListProofJson,
): T {
  const bytes = parseHex(ssz, TRANSACTION_BYTES_MAX)
  const branch = readBlockBranch(json)
  if (!bytes.ok || !branch.ok) throw unproven('it is malformed')
  const found = verify(header, bytes.value, branch.value)
  if (!found.ok) throw unproven(found.fault.message)
  return found.value
}

function unproven(why: string): RpcError {
  return new RpcError('FALSE_PROOF', `a node claims an outcome that it does not prove: ${why}`)
}
