import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import { sign, signingDigest } from '../bytes/signature.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { stateRoot } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { recordCodecs, tableNames } from '../state/record-tables.ts'
import {
  decodeTransaction,
  encodeTransaction,
  signTransaction,
  transactionDigest,
} from '../types/transaction-codec.ts'
import {
  PayloadKind,
  PayloadType,
  type Transaction,
  type TransactionBody,
} from '../types/transactions.ts'
import { applyTransaction, type BlockExecution } from './execute-block.ts'
import { auditSupply } from './supply.ts'
import { flipped, mutationsOf } from './testing/field-mutations.ts'
import { type ValidTransaction, validTransactions } from './testing/valid-transactions.ts'
import { laneOf } from './transaction-checks.ts'

/**
 * Every kind of transaction, made wrong in every field and in every byte: a typed fault, never an
 * exception, and the same state root; or, where a sender may well say something else, a ledger in
 * which every unit is somewhere.
 */
beforeAll(() => installNativeCrypto())

const kinds = Object.keys(PayloadKind) as PayloadKind[]
type Apply = (execution: BlockExecution, transaction: Transaction) => Result<undefined>

const stories = new Map<PayloadKind, ValidTransaction>()
function validOf(kind: PayloadKind): ValidTransaction {
  let valid = stories.get(kind)
  if (!valid) {
    valid = validTransactions[kind]('this chain')
    stories.set(kind, valid)
  }
  return valid
}

/** Everything that executing a transaction may change, as one text. */
function traceOf({ draft, transactions, receipts, bytes, ordinaryBytes }: BlockExecution): string {
  const { epoch } = draft.globals()
  const side = [draft.rewardCount(epoch), transactions.length, receipts.length]
  return [bytesToHex(stateRoot(draft)), ...side, bytes, ordinaryBytes].join(' ')
}

/** Every record as it stands, hashed anew: roots are kept with records that nobody may write to. */
function recordsOf(ledger: LedgerDraft): string {
  const hashes = tableNames.map((table) => {
    const { serialize } = recordCodecs[table] as { serialize(record: unknown): Uint8Array }
    const records = Array.from({ length: ledger[table].count }, (_, i) => ledger[table].get(i))
    return sha256(...records.map((record) => serialize(record)))
  })
  return bytesToHex(sha256(...hashes))
}

/** Tries transactions on one block, which each fault must leave as it was. */
class Trial {
  readonly #valid: ValidTransaction
  readonly #apply: Apply
  #execution: BlockExecution
  #before: string
  readonly codes = new Map<string, number>()

  constructor(valid: ValidTransaction, apply: Apply = applyTransaction) {
    this.#valid = valid
    this.#apply = apply
    this.#execution = valid.stage.begin()
    this.#before = traceOf(this.#execution)
  }

  /** 'ok' or the fault's code; throws what a rule must never do. */
  try(transaction: Transaction, what: string): string {
    const result = this.#attempt(transaction, what)
    const code = result.ok ? 'ok' : result.fault.code
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
    if (result.ok) {
      const audit = auditSupply(this.#execution.draft)
      if (!audit.ok) throw new Error(`${what}: ${audit.fault.message}`)
      this.#execution = this.#valid.stage.begin()
      return code
    }
    const { code: name, message } = result.fault
    if (!/^[A-Z][A-Z0-9_]+$/.test(name ?? '') || !message)
      throw new Error(`${what}: no typed fault`)
    if (traceOf(this.#execution) !== this.#before) throw new Error(`${what}: ${name} left a trace`)
    return code
  }

  #attempt(transaction: Transaction, what: string): Result<undefined> {
    try {
      return this.#apply(this.#execution, transaction)
    } catch (error) {
      throw new Error(`${what}: the rule threw`, { cause: error })
    }
  }

  /** Bytes as they come from a peer. */
  tryBytes(bytes: Uint8Array, what: string): string {
    const decoded = decodeTransaction(bytes)
    if (decoded.ok) return this.try(decoded.value, what)
    if (!decoded.fault.code) throw new Error(`${what}: no typed fault`)
    return decoded.fault.code
  }
}

/** The same sender signs another body; of the system lane nobody does. */
function resigned({ stage, transaction, secretKey }: ValidTransaction, body: TransactionBody) {
  if (!secretKey) return { ...transaction, body }
  return signTransaction(body, stage.chainId, secretKey)
}

function payloadMutations(valid: ValidTransaction) {
  const { body } = valid.transaction
  const { selector, value } = body.payload
  const type = PayloadType.types[selector]
  if (!type) throw new Error('a payload has a type')
  const own = type.serialize(value as never)
  return [...mutationsOf(type, value)].flatMap(({ field, change, value: changed }) => {
    // A path of one, the other way round, is itself.
    if (bytesEqual(type.serialize(changed as never), own)) return []
    const payload = { selector, value: changed } as TransactionBody['payload']
    // A body of its own: roots are kept with bodies.
    return [{ field, change, body: { ...body, payload } }]
  })
}

function sizeOf(kind: PayloadKind): number {
  return encodeTransaction(validOf(kind).transaction).length
}

/** Wrong bytes at the edges, and as many in between as keeps the largest kinds in time. */
function* placesIn(length: number, most: number): Iterable<number> {
  const step = Math.max(1, Math.floor(length / most))
  for (let at = 0; at < length; at += at < 300 || at > length - 100 ? 1 : step) yield at
}

describe.each(kinds)('%s', (kind) => {
  test('is valid in its story, once, and leaves the state another', () => {
    const { stage, transaction } = validOf(kind)
    const execution = stage.begin()
    const before = traceOf(execution)
    expect(applyTransaction(execution, transaction)).toEqual({ ok: true, value: undefined })
    const after = traceOf(execution)
    expect(after).not.toBe(before)
    expect(auditSupply(execution.draft).ok).toBe(true)
    const again = applyTransaction(execution, transaction)
    expect(again.ok ? 'ok' : again.fault.code).not.toBe('ok')
    expect(traceOf(execution)).toBe(after)
  })

  test('with any byte changed, cut or added is refused', { timeout: 60_000 }, () => {
    const valid = validOf(kind)
    const bytes = encodeTransaction(valid.transaction)
    const trial = new Trial(valid)
    const records = recordsOf(valid.stage.ledger)
    for (const at of placesIn(bytes.length, 400)) {
      const code = trial.tryBytes(flipped(bytes, at, 1 << (at % 8)), `byte ${at}`)
      if (!isUnsigned(kind, at)) expect(code, `byte ${at}`).not.toBe('ok')
    }
    for (const length of placesIn(bytes.length, 100)) {
      const code = trial.tryBytes(bytes.subarray(0, length), `cut to ${length}`)
      // Votes stand one after the other, and fewer of them are fewer votes.
      if (kind !== 'lateVotes') expect(code, `cut to ${length}`).not.toBe('ok')
    }
    expect(trial.tryBytes(Uint8Array.from([...bytes, 0]), 'a byte more')).not.toBe('ok')
    expect(recordsOf(valid.stage.ledger)).toBe(records)
    expect([...trial.codes.keys()].length).toBeGreaterThan(0)
  })

  test('with any field changed and signed again is refused, or is what its sender may say', () => {
    const valid = validOf(kind)
    const trial = new Trial(valid)
    const records = recordsOf(valid.stage.ledger)
    const accepted = new Set<string>()
    for (const { field, change, body } of payloadMutations(valid)) {
      const what = `${field} ${change}`
      const bytes = encodeTransaction(resigned(valid, body))
      if (trial.tryBytes(bytes, what) === 'ok') accepted.add(field)
      // Without a new signature nothing at all may be changed.
      if (laneOf(body) !== 'system') {
        const forged = { body: { ...body }, signature: valid.transaction.signature }
        expect(trial.try(forged, `forged ${what}`), what).not.toBe('ok')
      }
    }
    expect([...accepted].sort().join(' ')).toBe(mayDiffer[kind])
    expect(recordsOf(valid.stage.ledger)).toBe(records)
  })

  test('out of order, expired, over its fee, by another key or for another chain', () => {
    const valid = validOf(kind)
    const { transaction, stage, secretKey } = valid
    const { body } = transaction
    const trial = new Trial(valid)
    const height = stage.begin().block.height
    const lane = laneOf(body)
    const code = (changes: Partial<TransactionBody>, what: string) =>
      trial.try(resigned(valid, { ...body, ...changes }), what)
    expect(code({ nonce: body.nonce + 1 }, 'a later nonce')).toBe(
      lane === 'account' ? 'NONCE_GAP' : 'LANE_FIELDS',
    )
    expect(code({ nonce: 0xffff_ffff }, 'the last nonce')).not.toBe('ok')
    if (body.nonce > 0) expect(code({ nonce: body.nonce - 1 }, 'again')).toBe('NONCE_TOO_LOW')
    expect(code({ validUntil: height - 1 }, 'expired')).toBe('TRANSACTION_EXPIRED')
    expect(code({ validUntil: Number.MAX_SAFE_INTEGER }, 'for ever')).toBe(
      'TRANSACTION_VALID_TOO_LONG',
    )
    expect(code({ tip: (1n << 64n) - 1n }, 'the greatest tip')).toBe(
      lane === 'account' ? 'INSUFFICIENT_FUNDS' : 'LANE_FIELDS',
    )
    for (const sender of [new Uint8Array(33), new Uint8Array(33).fill(0xff)]) {
      if (lane === 'system' && sender[0] === 0) continue
      expect(code({ sender }, 'no sender')).toBe(
        lane === 'system' ? 'LANE_FIELDS' : 'SENDER_MALFORMED',
      )
    }
    const others: Uint8Array[] = [new Uint8Array(64).fill(1), new Uint8Array(64).fill(0xff)]
    if (secretKey) {
      others.push(sign(transactionDigest(body, sha256()), secretKey))
      others.push(sign(signingDigest('voucher', stage.chainId, sha256()), secretKey))
      others.push(sign(transactionDigest(body, stage.chainId), sha256(secretKey)))
    }
    for (const signature of others) {
      expect(trial.try({ body: { ...body }, signature }, 'forged')).toBe(
        lane === 'system' ? 'LANE_FIELDS' : 'SIGNATURE_INVALID',
      )
    }
  })

  test('what was signed inside for another chain is refused here', () => {
    const valid = validOf(kind)
    const { body } = validTransactions[kind]('another chain').transaction
    const { body: own } = valid.transaction
    const code = new Trial(valid).try(
      resigned(valid, { ...own, payload: body.payload }),
      'the payload of another chain',
    )
    expect(code).toBe(boundToChain[kind] ?? 'ok')
  })
})

test('any two changes at once, of any kind', { timeout: 120_000 }, () => {
  const pick = fc.record({ kind: fc.constantFrom(...kinds), one: fc.nat(), other: fc.nat() })
  const trials = new Map<PayloadKind, { trial: Trial; mutations: TransactionBody[] }>()
  fc.assert(
    fc.property(pick, ({ kind, one, other }) => {
      const valid = validOf(kind)
      let known = trials.get(kind)
      if (!known) {
        const mutations = payloadMutations(valid).map(({ body }) => body)
        known = { trial: new Trial(valid), mutations }
        trials.set(kind, known)
      }
      const { trial, mutations } = known
      if (mutations.length === 0) return
      const first = mutations[one % mutations.length] as TransactionBody
      const twice = payloadMutations({
        ...valid,
        transaction: { ...valid.transaction, body: first },
      })
      const second = twice[other % twice.length]
      if (!second) return
      const bytes = encodeTransaction(resigned(valid, second.body))
      trial.tryBytes(bytes, `${kind} ${one} ${other}`)
    }),
    { numRuns: 1500 },
  )
})

describe('the trial itself', () => {
  /** What a broken rule might do; each must be found by trying what the tests above try. */
  const broken: Record<string, Apply> = {
    'writes before it refuses': (execution, transaction) => {
      const globals = execution.draft.globals()
      const result = applyTransaction(execution, transaction)
      if (!result.ok) execution.draft.setGlobals({ ...globals, minted: globals.minted + 1n })
      return result
    },
    'keeps a receipt of what it refused': (execution, transaction) => {
      const result = applyTransaction(execution, transaction)
      if (!result.ok) execution.receipts.push(...execution.receipts, {} as never)
      return result
    },
    'raises the nonce of what it refused': (execution, transaction) => {
      const result = applyTransaction(execution, transaction)
      const account = execution.draft.accounts.get(0)
      if (!result.ok && account) {
        execution.draft.accounts.set(0, { ...account, nonce: account.nonce + 1 })
      }
      return result
    },
    'throws at a zero': (execution, transaction) => {
      const { value } = transaction.body.payload as { value: { amount?: bigint } }
      if (value.amount === 0n) throw new RangeError('Division by zero')
      return applyTransaction(execution, transaction)
    },
    'makes a unit of the greatest amount': (execution, transaction) => {
      const { value } = transaction.body.payload as { value: { amount?: bigint } }
      if (value.amount !== (1n << 64n) - 1n) return applyTransaction(execution, transaction)
      const account = execution.draft.accounts.get(0)
      if (account) execution.draft.accounts.set(0, { ...account, balance: account.balance + 1n })
      return { ok: true, value: undefined }
    },
    'has no name for a fault': (execution, transaction) => {
      const result = applyTransaction(execution, transaction)
      return result.ok ? result : { ok: false, fault: { code: '', message: 'no' } }
    },
  }

  test.each(Object.entries(broken))('finds a rule that %s', (_, apply) => {
    const valid = validOf('transfer')
    const run = (with_: Apply) => {
      const trial = new Trial(valid, with_)
      for (const { field, change, body } of payloadMutations(valid)) {
        trial.try(resigned(valid, body), `${field} ${change}`)
      }
      const bad = { body: { ...valid.transaction.body, nonce: 99 }, signature: new Uint8Array(64) }
      trial.try(bad, 'a bad transaction')
    }
    expect(() => run(applyTransaction)).not.toThrow()
    expect(() => run(apply)).toThrow()
  })

  test('every kind has a story of its own and enough fields to be wrong in', () => {
    for (const kind of kinds) {
      expect(payloadMutations(validOf(kind)).length, kind).toBeGreaterThan(1)
      expect(sizeOf(kind), kind).toBeGreaterThan(130)
    }
  })
})

/** Kinds whose payload carries somebody's word for one chain, and what the wrong chain's is. */
const boundToChain: { readonly [K in PayloadKind]?: string } = {
  register: 'POSSESSION_PROOF',
  rotateKeys: 'POSSESSION_PROOF',
  fill: 'GRANT_SIGNATURE',
  redeem: 'VOUCHER_SIGNATURE',
  redeemRepair: 'VOUCHER_SIGNATURE',
  anchor: 'ANCHOR_CHECKPOINT',
  evidence: 'EVIDENCE_SIGNATURE',
  deposit: 'MAIN_BRANCH_ROOT',
  lateVotes: 'LATE_VOTE_SIGNATURE',
}

/**
 * Fields that a sender may choose, so that some other value of them is fine, too; every other value
 * of every other field is a fault. Of vouchers, headers and votes fewer, or one twice.
 */
const mayDiffer: { readonly [K in PayloadKind]: string } = {
  transfer: 'amount to',
  register: 'payout roles',
  openContract:
    'delegate delegateFee k label lockUnits maxLeaves n policy pot priceCap salt term unitPriceCap',
  openRelay: 'lockUnits reservationPrice unitPrice',
  fill: '',
  prove: '',
  redeem: 'least rails vouchers',
  close: 'kind target',
  topUp: 'amount kind target',
  leave: 'lost rail',
  evict: '',
  clearWeight: '',
  mainHeaders: 'headers',
  anchor: '',
  evidence: '',
  bond: 'amount',
  unbond: 'amount',
  delegate: 'amount validator',
  releaseStake: '',
  rotateKeys: 'commission mainKey payout',
  deposit: '',
  withdraw: 'amount output',
  pegVote: 'kind withdrawal',
  claimSlot: '',
  redeemRepair: 'vouchers',
  lateVotes: 'votes',
  unregister: '',
}

const BODY_AT = 68
/** Before the payload: sender, nonce, validUntil, maxBaseFee, tip, an offset. */
const BODY_HEAD_BYTES = 65
/** What no signature covers: in the system lane the head of a body, whose fields are checked. */
function isUnsigned(kind: PayloadKind, at: number): boolean {
  if (laneOf(validOf(kind).transaction.body) !== 'system') return false
  // Work of the lowest difficulty is found in every second try.
  return kind === 'mainHeaders' || (at >= BODY_AT && at < BODY_AT + BODY_HEAD_BYTES)
}
