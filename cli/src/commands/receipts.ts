import type { ReceiptExplanation, ReceiptView, ResultOf } from '@ioex/rpc/contract'
import { readNodeArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { formatAmount, formatIoex } from '../output/amount.ts'
import { usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'

const PAGE_MAX = 200

export interface ListOptions {
  readonly node?: string
  readonly rail?: number
  readonly contract?: number
  readonly epoch?: number
  readonly from?: number
  readonly to?: number
  readonly type?: ReceiptView['type']
  readonly limit: number
}

/** Lists receipts, oldest first. */
export async function listReceipts(context: CommandContext, options: ListOptions): Promise<void> {
  if (options.epoch !== undefined && (options.from ?? options.to) !== undefined) {
    throw usageError('give --epoch, or --from and --to, not both')
  }
  const found = await readReceipts(context, options)
  context.output.result({ receipts: found }, () => receiptsText(context, found))
}

/** Shows one receipt with its proof and, if so asked, how it came about. */
export async function showReceipt(
  context: CommandContext,
  id: string,
  explain: boolean,
): Promise<void> {
  const client = await context.client()
  const found = await client.call('receipts_get', { id, prove: true, explain })
  context.output.result(found, () => receiptText(found))
}

async function readReceipts(
  context: CommandContext,
  { node, rail, contract, epoch, type, limit, ...range }: ListOptions,
): Promise<ReceiptView[]> {
  const client = await context.client()
  const { from = epoch, to = epoch } = range
  const receipts: ReceiptView[] = []
  let cursor: string | null = null
  do {
    const page: ResultOf<'receipts_list'> = await client.call('receipts_list', {
      ...(node !== undefined && { node: readNodeArgument(node) }),
      ...(rail !== undefined && { rail }),
      ...(contract !== undefined && { contract }),
      ...(from !== undefined && { fromEpoch: from }),
      ...(to !== undefined && { toEpoch: to }),
      ...(type !== undefined && { type }),
      ...(cursor !== null && { cursor }),
      limit: Math.max(1, Math.min(PAGE_MAX, limit - receipts.length)),
    })
    receipts.push(...page.receipts)
    cursor = page.next
  } while (cursor !== null && receipts.length < limit)
  return receipts.slice(0, limit)
}

function receiptsText({ output }: CommandContext, receipts: readonly ReceiptView[]): string {
  if (receipts.length === 0) return 'No receipts.'
  return output.table(
    [
      { head: 'epoch', align: 'right' },
      { head: 'height', align: 'right' },
      { head: 'type' },
      { head: 'IOEX', align: 'right' },
      { head: 'about' },
      { head: 'id' },
    ],
    receipts.map((receipt) => [
      String(receipt.epoch),
      String(receipt.height),
      receipt.type,
      amountOf(receipt),
      subjectOf(receipt),
      receipt.id,
    ]),
  )
}

/** The amount that people look for first: what the receipt is about in money. */
function amountOf({ body }: ReceiptView): string {
  const { fee, amount, paid, held, baseFee } = body
  const units = paid !== undefined && fee === undefined ? paid : (fee ?? amount ?? held ?? baseFee)
  return typeof units === 'string' ? formatAmount(BigInt(units)) : ''
}

function subjectOf({ body }: ReceiptView): string {
  const { rail, contract, node, payer, epoch, mainHeight, reservations } = body
  if (typeof mainHeight === 'number' && typeof epoch === 'number') {
    return `epoch ${epoch} in main block ${mainHeight}`
  }
  const parts = [
    typeof rail === 'number' ? `rail ${rail}` : '',
    typeof contract === 'number' ? `contract ${contract}` : '',
    typeof reservations === 'number' && reservations > 0 ? `link of ${reservations} epochs` : '',
    typeof node === 'string' ? node : typeof payer === 'string' ? payer : '',
  ]
  return parts.filter((part) => part !== '').join(', ')
}

const MONEY_FIELDS = new Set(
  (
    'fee burned toValidators net held released paid lockUnits need debt toPots epochFees emission ' +
    'amount refundTime refundUnits burnedUnits releasedHeld baseFee tip proceeds byteFee debtPaid refundLocks ' +
    'refundPot refundFees refundDeposit lockTime fromFormer fromPayer feeFromHeld feeFromPot ' +
    'feeAsDebt delegateFee paidTotal fromHeld fromPot price unitPrice reservationPrice'
  ).split(' '),
)

function receiptText({ receipt, proof, explanation }: ResultOf<'receipts_get'>): string {
  const fields = Object.entries(receipt.body)
    .filter(([name]) => name !== 'type')
    .map(([name, value]) => {
      const isMoney = MONEY_FIELDS.has(name) && typeof value === 'string'
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
      return [name, isMoney ? formatIoex(value) : text] as const
    })
  const facts = factsText([
    ['id', receipt.id],
    ['type', receipt.type],
    ['block', `${receipt.height} (epoch ${receipt.epoch}), position ${receipt.index}`],
    ...fields,
    ['proof', proof ? `${proof.branch.length} hashes up to receiptRoot ${proof.root}` : 'none'],
  ])
  if (explanation === undefined) return facts
  return `${facts}\n\n${explanation === null ? EXPLAINS_ITSELF : explanationText(explanation)}`
}

const EXPLAINS_ITSELF = 'This receipt carries all inputs of its formula (PROTOCOL 7).'

function explanationText({ kind, forfeits }: ReceiptExplanation): string {
  if (kind === 'held-pay-lost') {
    return 'Held pay of one rail, lost with the bytes or the node: 30 % burned, the rest for repair.'
  }
  if (forfeits.length === 0) return 'This node does not have the receipts of the strikes any more.'
  return forfeits.map(forfeitText).join('\n\n')
}

function forfeitText(forfeit: ReceiptExplanation['forfeits'][number]): string {
  const leaves = forfeit.openings.map(({ rail, leaf, position }) =>
    rail === null ? `position ${position}` : `rail ${rail} leaf ${leaf ?? '?'}`,
  )
  return factsText([
    ['strike', `${forfeit.strikes} of ${forfeit.strikesToEvict}`],
    ['challenge of epoch', String(forfeit.epoch)],
    ['not paid', `epochs ${forfeit.fromEpoch} to ${forfeit.toEpoch}`],
    [
      'checkpoint',
      `block ${forfeit.checkpointBlock}, ${forfeit.checkpointHash ?? 'not kept here'}`,
    ],
    ['beacon', `${forfeit.beacon}, fixed in block ${forfeit.beaconBlock ?? 'unknown'}`],
    ['seed = H(beacon, node)', forfeit.seed],
    ['drawn, as', `${forfeit.draw} is below ${forfeit.rate}`],
    ['inventory', `${forfeit.inventoryRoot}, weight ${forfeit.inventorySum}`],
    ['had to be shown', leaves.join(', ') || 'nothing is known beyond the ring of beacons'],
    ['proof was due in', `blocks ${forfeit.firstBlock} to ${forfeit.lastBlock}`],
  ])
}
