import { fault, formatAddress, ok, parseHex, type Result } from '@ioex/chain/bytes'
import { type FinalHeader, verifyReceiptIn, verifyRecordAt, verifyReward } from '@ioex/chain/light'
import type { NetworkParams } from '@ioex/chain/params'
import { type Statement, statementOf } from '@ioex/chain/rules'
import { type Epoch, type Receipt } from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import { receiptToJson } from '../contract/receipt-json.ts'
import { statementInputs } from '../contract/statement-inputs.ts'
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

/**
 * Makes a statement of what a node shows, down to certified headers: each receipt stands in its
 * block, all sums are made from the receipts, F and M from the epoch's record. Once the epoch is
 * closed, the fees must be the node's leaf in the reward tree, so that no receipt with a fee can
 * be left out. Nothing that the node merely says remains.
 */
export async function checkStatement(
  view: StatementView,
  question: StatementQuestion,
  trust: (shown: ShownHeader) => Promise<FinalHeader>,
): Promise<StatementView> {
  const { params, node, epoch } = question
  const { proof } = view
  if (!proof || proof.receipts.length !== view.receipts.length) throw unproven('has no proof')
  const state = await trust(proof.epoch)
  const record = readEpoch(state, view, epoch)
  if (!record.ok) throw unproven(record.fault.message)
  const receipts: Receipt[] = []
  for (const [i, shown] of proof.receipts.entries()) {
    const header = await trust(shown)
    receipts.push(shownIn(header, verifyReceiptIn, view.receipts[i]?.ssz ?? '', shown))
  }
  const own = statementOf(params, epoch, record.value, node, receipts)
  const places = new Set(receipts.map(({ height, index }) => `${height} ${index}`))
  if (places.size !== receipts.length || own.receipts.length !== receipts.length) {
    throw unproven('a receipt is repeated, or of another node or epoch')
  }
  const closed = state.header.epoch > epoch
  if (closed) {
    const fees = checkFee(view, record.value, own.fees, node)
    if (!fees.ok) throw unproven(fees.fault.message)
  }
  const { height } = state.header
  return { ...statementToJson(own, record.value, question, closed), height, proof }
}

function statementToJson(
  own: Statement,
  record: Epoch,
  { params, node, epoch }: StatementQuestion,
  closed: boolean,
) {
  const subsidy = closed || own.subsidyCredited ? own.subsidy : 0n
  const due = subsidy > 0n ? ('pending' as const) : ('none' as const)
  return {
    node: formatAddress(node, params.addressPrefix),
    epoch,
    fees: own.fees.toString(),
    burned: own.burned.toString(),
    toValidators: own.toValidators.toString(),
    net: own.net.toString(),
    held: own.held.toString(),
    released: own.released.toString(),
    forfeited: own.forfeited.toString(),
    byteFees: own.byteFees.toString(),
    debtPaid: own.debtPaid.toString(),
    paid: own.paid.toString(),
    subsidy: subsidy.toString(),
    forfeits: own.forfeits,
    subsidyState: own.subsidyCredited ? ('credited' as const) : due,
    receipts: own.receipts.map((receipt) => receiptToJson(receipt, params.addressPrefix)),
    inputs: statementInputs(params, record, closed),
  }
}

function readEpoch({ header }: FinalHeader, { proof }: StatementView, epoch: number) {
  const json = proof?.epoch.records[0]
  const read = json ? readStateProof(json) : fault('PROOF_SHAPE', 'the epoch is not proven')
  const record = read.ok ? verifyRecordAt(header.stateRoot, 'epochs', epoch, read.value) : read
  if (!record.ok) return record
  return record.value ? ok(record.value) : fault('PROOF_SHAPE', 'the epoch has no record')
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
