import { bytesEqual, fault, ok, parseAddress, parseHex, type Result } from '@ioex/chain/bytes'
import { type FinalHeader, verifyReceiptIn, verifyRecordAt, verifyReward } from '@ioex/chain/light'
import type { NetworkParams } from '@ioex/chain/params'
import { statementOf } from '@ioex/chain/rules'
import type { Epoch, Receipt } from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import type { ShownHeader } from './head-follower.ts'
import { shownIn } from './outcome-check.ts'
import { readStateProof } from './proof-reader.ts'
import { RpcError } from './rpc-error.ts'

export type StatementView = ResultOf<'rewards_getStatement'>

export interface StatementQuestion {
  readonly params: NetworkParams
  /** Address of the node's key. */
  readonly node: Uint8Array
  readonly epoch: number
}

/** Sums of a view that follow from its receipts. */
const SUMS = [
  'fees',
  'burned',
  'toValidators',
  'net',
  'held',
  'released',
  'forfeited',
  'byteFees',
  'debtPaid',
  'paid',
] as const

/**
 * Checks a statement down to certified headers: each receipt stands in its block, all sums are
 * those of the receipts, F and M are those of the epoch's record, and, once the epoch is closed,
 * the fees are the node's leaf in the reward tree, so that no receipt with a fee was left out.
 */
export async function checkStatement(
  view: StatementView,
  question: StatementQuestion,
  trust: (shown: ShownHeader) => Promise<FinalHeader>,
): Promise<StatementView> {
  const { proof } = view
  if (!proof || proof.receipts.length !== view.receipts.length) throw unproven('has no proof')
  const node = parseAddress(view.node, question.params.addressPrefix)
  if (!node.ok || !bytesEqual(node.value, question.node) || view.epoch !== question.epoch) {
    throw unproven('is of another node or epoch')
  }
  const state = await trust(proof.epoch)
  const record = readEpoch(state, view, question.epoch)
  if (!record.ok) throw unproven(record.fault.message)
  const receipts: Receipt[] = []
  for (const [i, shown] of proof.receipts.entries()) {
    const header = await trust(shown)
    receipts.push(shownIn(header, verifyReceiptIn, view.receipts[i]?.ssz ?? '', shown))
  }
  const checked = compare(view, record.value, receipts, question, state.header.epoch)
  if (checked.ok) return view
  // What an open epoch holds can change between two reads of an honest node.
  if (!view.inputs.closed) throw new RpcError('BAD_RESPONSE', checked.fault.message)
  throw unproven(checked.fault.message)
}

function readEpoch({ header }: FinalHeader, { proof }: StatementView, epoch: number) {
  const json = proof?.epoch.records[0]
  const read = json ? readStateProof(json) : fault('PROOF_SHAPE', 'the epoch is not proven')
  const record = read.ok ? verifyRecordAt(header.stateRoot, 'epochs', epoch, read.value) : read
  if (!record.ok) return record
  return record.value ? ok(record.value) : fault('PROOF_SHAPE', 'the epoch has no record')
}

function compare(
  view: StatementView,
  record: Epoch,
  receipts: readonly Receipt[],
  { params, node, epoch }: StatementQuestion,
  epochNow: number,
): Result<undefined> {
  const ids = new Set(receipts.map(({ height, index }) => `${height} ${index}`))
  const own = statementOf(params, epoch, record, node, receipts)
  if (ids.size !== receipts.length || own.receipts.length !== receipts.length) {
    return fault('STATEMENT_WRONG', 'a receipt is repeated, or of another node or epoch')
  }
  const wrong = SUMS.find((name) => own[name].toString() !== view[name])
  if (wrong) return fault('STATEMENT_WRONG', `${wrong} is not the sum of the receipts`)
  const { inputs } = view
  const isClosed = epochNow > epoch
  const isRecord =
    inputs.epochFees === record.fees.toString() &&
    inputs.epochBurned === record.burned.toString() &&
    inputs.emission === record.emission.toString() &&
    inputs.closed === isClosed
  if (!isRecord) return fault('STATEMENT_WRONG', "the inputs are not those of the epoch's record")
  if (!isClosed) return ok()
  if (own.subsidy.toString() !== view.subsidy) {
    return fault('STATEMENT_WRONG', 'the subsidy is not M x fees / F')
  }
  return checkFee(view, record, own.fees, node)
}

/** The node's leaf: without one it booked no fees. */
function checkFee(
  { proof }: StatementView,
  record: Epoch,
  fees: bigint,
  node: Uint8Array,
): Result<undefined> {
  const shown = proof?.fee
  if (!shown) return fees === 0n ? ok() : fault('STATEMENT_WRONG', 'the fees are not proven')
  const steps: { position: 'left' | 'right'; data: Uint8Array }[] = []
  for (const { position, data } of shown.steps) {
    const hash = parseHex(data, 32)
    if (!hash.ok) return hash
    steps.push({ position, data: hash.value })
  }
  const fee = { node, fee: BigInt(shown.fee) }
  const leaf = verifyReward(record.rewardRoot, { fee, steps })
  if (!leaf.ok) return leaf
  if (leaf.value.fee === fees) return ok()
  return fault('STATEMENT_WRONG', 'receipts were left out: their fees are not those of the epoch')
}

function unproven(what: string): RpcError {
  return new RpcError('FALSE_PROOF', `a node's statement is not proven: ${what}`)
}
