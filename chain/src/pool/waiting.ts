import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { addressOf } from '../bytes/signature.ts'
import { laneOf } from '../rules/transaction-checks.ts'
import { type Payload, PayloadKind, type Transaction } from '../types/transactions.ts'

/** A transaction in the pool. */
export interface Waiting {
  readonly id: Hex
  readonly transaction: Transaction
  readonly bytes: number
  readonly address: Uint8Array
  /** The address as hex. */
  readonly sender: Hex
  /** What makes it exclusive: (sender, nonce) of an account, (node, subject) of a free one. */
  readonly slot: string
  /** Most that it can take from its account: fee at its cap, tip, and what a transfer moves. */
  readonly cost: bigint
  /** Heights at which its place was taken over from another. */
  readonly replacedAt: readonly number[]
  /** The rule admitted it after all before it. False: it is held behind a missing nonce. */
  isTried: boolean
}

export function waitingOf(id: Hex, transaction: Transaction, bytes: number): Waiting {
  const { body } = transaction
  const address = addressOf(body.sender)
  const sender = bytesToHex(address)
  const subject = laneOf(body) === 'account' ? `nonce ${body.nonce}` : subjectOf(body.payload)
  return {
    id,
    transaction,
    bytes,
    address,
    sender,
    slot: `${sender} ${subject}`,
    cost: feeAtCap(body, bytes) + (body.payload.selector === 0 ? body.payload.value.amount : 0n),
    replacedAt: [],
    isTried: false,
  }
}

/** Fee and tip if the base fee climbs to the sender's cap. */
export function feeAtCap({ maxBaseFee, tip }: Transaction['body'], bytes: number): bigint {
  return (maxBaseFee + tip) * BigInt(bytes)
}

/** One waits per node and kind; of fills one per slot, as each spends a grant of its own. */
function subjectOf(payload: Payload): string {
  switch (payload.selector) {
    case PayloadKind.fill:
      return `fill ${payload.value.grant.contract} ${payload.value.grant.slot}`
    case PayloadKind.evict:
      return `evict ${bytesToHex(payload.value.node)}`
    case PayloadKind.clearWeight:
      return `clearWeight ${payload.value.rail}`
    default:
      return `kind ${payload.selector}`
  }
}
