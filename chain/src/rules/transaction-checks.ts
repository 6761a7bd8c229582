import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { payloadKind } from '../types/transaction-codec.ts'
import {
  type PayloadKind,
  TRANSACTION_BYTES_MAX,
  type Transaction,
  type TransactionBody,
} from '../types/transactions.ts'
import { accountOf, insufficientFunds } from './accounts.ts'
import { feeOf } from './fees.ts'

/**
 * Who stands for a transaction (PROTOCOL 4):
 * account - an owner signs, pays the byte fee and a tip from its account, and counts a nonce;
 * node    - a node key signs; bound to a grant, an open challenge, its own rails or proceeds;
 * open    - any key signs; bound to something that can happen once;
 * system  - nobody signs; it proves itself.
 */
export type Lane = 'account' | 'node' | 'open' | 'system'

const lanes: { readonly [K in PayloadKind]: Lane } = {
  transfer: 'account',
  register: 'account',
  openContract: 'account',
  openRelay: 'account',
  fill: 'node',
  prove: 'node',
  redeem: 'node',
  close: 'account',
  topUp: 'account',
  leave: 'node',
  evict: 'open',
  clearWeight: 'open',
  mainHeaders: 'system',
  anchor: 'system',
  evidence: 'system',
  bond: 'account',
  unbond: 'account',
  delegate: 'account',
  releaseStake: 'open',
  rotateKeys: 'account',
  deposit: 'system',
  withdraw: 'account',
  pegVote: 'account',
  claimSlot: 'node',
  redeemRepair: 'node',
  lateVotes: 'system',
  unregister: 'account',
}

const KIB = 1024
const ORDINARY_BYTES_MAX = 16 * KIB
/** Kinds that may be larger than ordinary ones. */
const bytesMaxByKind: { readonly [K in PayloadKind]?: number } = {
  prove: 48 * KIB,
  redeem: 64 * KIB,
  mainHeaders: TRANSACTION_BYTES_MAX,
  anchor: 72 * KIB,
  deposit: 72 * KIB,
  redeemRepair: 64 * KIB,
  lateVotes: 24 * KIB,
}

/** How far ahead a transaction may be valid, so that no pool keeps it for ever. */
export const VALID_BLOCKS_MAX = 3600

export function laneOf(body: TransactionBody): Lane {
  return lanes[payloadKind(body)]
}

function bytesMaxOf(kind: PayloadKind): number {
  return bytesMaxByKind[kind] ?? ORDINARY_BYTES_MAX
}

/** The cheap checks that need no state: size, validity window, form of its lane. */
export function checkForm(
  transaction: Transaction,
  bytes: number,
  blockHeight: number,
): Result<undefined> {
  const { body } = transaction
  const kind = payloadKind(body)
  const most = bytesMaxOf(kind)
  if (bytes > most) {
    return fault('TRANSACTION_TOO_LARGE', `a ${kind} has at most ${most} bytes`, { bytes })
  }
  if (body.validUntil < blockHeight) {
    return fault('TRANSACTION_EXPIRED', `it was valid until block ${body.validUntil}`, {
      validUntil: body.validUntil,
      blockHeight,
    })
  }
  if (body.validUntil > blockHeight + VALID_BLOCKS_MAX) {
    return fault(
      'TRANSACTION_VALID_TOO_LONG',
      `it may be valid for at most ${VALID_BLOCKS_MAX} blocks`,
      { validUntil: body.validUntil, blockHeight },
    )
  }
  return checkLane(transaction)
}

function checkLane({ body, signature }: Transaction): Result<undefined> {
  const lane = lanes[payloadKind(body)]
  if (lane === 'account') return isKey(body.sender) ? ok() : senderMalformed()
  if (body.nonce !== 0 || body.tip !== 0n) {
    return fault('LANE_FIELDS', 'a transaction without an account has nonce and tip 0')
  }
  if (lane !== 'system') return isKey(body.sender) ? ok() : senderMalformed()
  if (!isZero(body.sender) || !isZero(signature)) {
    return fault('LANE_FIELDS', 'nobody signs a transaction of the system lane')
  }
  return ok()
}

function senderMalformed() {
  return fault('SENDER_MALFORMED', 'the sender is no compressed public key')
}

function isKey(key: Uint8Array): boolean {
  return key[0] === 2 || key[0] === 3
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

/**
 * Nonce and balance of an account's transaction. Faults with NONCE_TOO_LOW, NONCE_GAP,
 * INSUFFICIENT_FUNDS or ACCOUNT_UNKNOWN.
 */
export function checkAccount(
  draft: LedgerDraft,
  body: TransactionBody,
  sender: Uint8Array,
  bytes: number,
): Result<undefined> {
  const account = accountOf(draft, sender)
  const nonce = account?.nonce ?? 0
  if (body.nonce < nonce) {
    return fault('NONCE_TOO_LOW', `the next nonce of the account is ${nonce}`, {
      nonce: body.nonce,
      next: nonce,
    })
  }
  if (body.nonce > nonce) {
    return fault('NONCE_GAP', `the next nonce of the account is ${nonce}`, {
      nonce: body.nonce,
      next: nonce,
    })
  }
  const fee = feeOf(draft, body, bytes)
  const balance = account?.balance ?? 0n
  if (balance < fee) return insufficientFunds(balance, fee)
  // Where the base fee is 0 a stranger could pay it, but has no nonce to raise.
  if (account) return ok()
  return fault('ACCOUNT_UNKNOWN', 'the sender has no account: nothing was ever paid to it')
}
