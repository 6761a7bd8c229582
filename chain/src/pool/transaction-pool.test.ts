import { beforeAll, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { fault, ok } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { transactionId } from '../types/transaction-codec.ts'
import { ZERO_KEY } from '../types/primitives.ts'
import { BLOCK_BODY_BYTES_MAX, PayloadKind, type Payload } from '../types/transactions.ts'
import {
  POOL_LIMITS,
  REDEEM_BODY_PERCENT,
  REPLACEMENTS_MAX,
  VERIFICATIONS_PER_SECOND,
} from './pool-limits.ts'
import { key, PoolWorld, transaction } from './testing/pool-world.ts'

const leave = (rail: number): Payload => ({
  selector: PayloadKind.leave,
  value: { rail, lost: false, unpaid: false },
})
/** One account's first three. */
function chainOfThree() {
  return [transaction({}), transaction({ nonce: 1 }), transaction({ nonce: 2 })] as const
}

const small = { ...POOL_LIMITS, accountTransactionsMax: 4, freeTransactionsMax: 2 }

beforeAll(async () => {
  await installNativeCrypto()
})

describe('admission', () => {
  test('admits what the rules admit, once', () => {
    const world = new PoolWorld()
    const first = transaction({})
    expect(world.add(first)).toBe('ok')
    expect(world.add(first)).toBe('ALREADY_KNOWN')
    expect(world.pool.size).toBe(1)
    expect(world.pool.bytes).toBe(200)
    expect(world.pool.get(world.idOf(first))).toBe(first)
  })

  test('asks the signature last but for the trial, and both only of what could be admitted', () => {
    const cases: [string, Parameters<typeof transaction>[0]][] = [
      ['TRANSACTION_EXPIRED', { validUntil: 0 }],
      ['TRANSACTION_VALID_TOO_LONG', { validUntil: 10_000 }],
      ['FEE_CAP_TOO_LOW', { maxBaseFee: 1n }],
      ['NONCE_TOO_LOW', { nonce: 1 }],
      ['NONCE_GAP', { nonce: 2 + POOL_LIMITS.nonceWindow + 1 }],
      ['INSUFFICIENT_FUNDS', { sender: key(9), nonce: 0 }],
      ['SENDER_MALFORMED', { sender: ZERO_KEY }],
    ]
    const world = new PoolWorld()
    world.accounts.set(world.nameOf(key(1)), { nonce: 2, balance: 10n ** 9n })
    world.baseFee = 2n
    world.asked = []
    for (const [code, change] of cases) {
      expect(world.add(transaction({ maxBaseFee: 5n, ...change }))).toBe(code)
    }
    expect(world.asked).toEqual([])
    world.isSigned = false
    expect(world.add(transaction({ maxBaseFee: 5n, nonce: 2 }))).toBe('SIGNATURE_INVALID')
    expect(world.asked).toEqual(['signature'])
    world.isSigned = true
    world.refuse = () => true
    expect(world.add(transaction({ maxBaseFee: 5n, nonce: 2 }))).toBe('REFUSED')
    expect(world.asked).toEqual(['signature', 'signature', 'trial'])
    expect(world.pool.size).toBe(0)
  })

  test('refuses the system lane from outside', () => {
    const payload: Payload = { selector: PayloadKind.mainHeaders, value: { headers: [] } }
    expect(new PoolWorld().add(transaction({ sender: ZERO_KEY, payload }))).toBe('SYSTEM_LANE')
  })

  test('bounds an account and counts its nonces', () => {
    const world = new PoolWorld()
    const most = POOL_LIMITS.perAccountMax
    for (let nonce = 0; nonce < most; nonce++) expect(world.add(transaction({ nonce }))).toBe('ok')
    expect(world.add(transaction({ nonce: most }))).toBe('POOL_ACCOUNT_FULL')
    expect(world.pool.nextNonce(addressOf(key(1)), 0)).toBe(most)
    expect(world.pool.nextNonce(addressOf(key(2)), 3)).toBe(3)
  })

  test('holds what stands behind a missing nonce, if the gap is paid for, until it comes', () => {
    const world = new PoolWorld()
    const [first, second, third] = chainOfThree()
    expect(world.add(third)).toBe('ok')
    expect(world.asked).toEqual(['signature'])
    expect(world.handed()).toEqual([])
    expect(world.pool.nextNonce(addressOf(key(1)), 0)).toBe(0)
    world.add(second)
    expect(world.handed()).toEqual([])
    world.add(first)
    expect(world.handed()).toEqual([first, second, third].map(world.idOf))
    // 200 bytes at a cap of 1, three times for the gap and once for itself, is not there.
    world.accounts.set(world.nameOf(key(2)), { nonce: 0, balance: 799n })
    expect(world.add(transaction({ sender: key(2), nonce: 3 }))).toBe('INSUFFICIENT_FUNDS')
    expect(world.add(transaction({ sender: key(2), nonce: 2 }))).toBe('ok')
  })

  test('what was held and then fails its trial goes, and what stands behind it', () => {
    const world = new PoolWorld()
    const [first, second, third] = chainOfThree()
    for (const held of [third, second]) world.add(held)
    world.refuse = (id) => id === world.idOf(second)
    expect(world.add(first)).toBe('ok')
    expect(world.handed()).toEqual([world.idOf(first)])
    expect(world.pool.size).toBe(1)
  })

  test('replaces for a tenth more of cap and tip, three times in ten blocks', () => {
    const world = new PoolWorld()
    const offer = (maxBaseFee: bigint, tip: bigint) => world.add(transaction({ maxBaseFee, tip }))
    expect(offer(10n, 10n)).toBe('ok')
    expect(offer(11n, 10n)).toBe('NONCE_TAKEN')
    expect(offer(10n, 11n)).toBe('NONCE_TAKEN')
    let price = 11n
    for (let i = 0; i < REPLACEMENTS_MAX; i++) {
      expect(offer(price, price)).toBe('ok')
      price *= 2n
    }
    expect(offer(price, price)).toBe('REPLACED_TOO_OFTEN')
    expect(world.pool.size).toBe(1)
    world.height += 10
    expect(offer(price, price)).toBe('ok')
    expect(world.handed()).toHaveLength(1)
  })

  test('a replacement that costs the others their funds drops them', () => {
    const world = new PoolWorld()
    for (const nonce of [0, 1, 2]) world.add(transaction({ nonce }))
    const last = transaction({ nonce: 2 })
    world.refuse = (id) => id === world.idOf(last)
    expect(world.add(transaction({ nonce: 1, maxBaseFee: 2n, tip: 1n }))).toBe('ok')
    expect(world.handed()).toHaveLength(2)
    expect(world.pool.size).toBe(2)
  })

  test('checks no more signatures than it has time for', () => {
    const world = new PoolWorld()
    world.isSigned = false
    const forged = transaction({})
    for (let i = 0; i < VERIFICATIONS_PER_SECOND; i++) world.add(forged)
    expect(world.add(forged)).toBe('POOL_BUSY')
    world.nowMs += 1
    expect(world.add(forged)).toBe('SIGNATURE_INVALID')
  })
})

describe('a full pool', () => {
  test('pushes out the lowest tip among the tails, then asks for more than that', () => {
    const world = new PoolWorld(small)
    const [dear, dearTail, cheap, middle] = [
      transaction({ sender: key(1), tip: 1n }),
      transaction({ sender: key(1), nonce: 1, tip: 50n }),
      transaction({ sender: key(2), tip: 3n }),
      transaction({ sender: key(3), tip: 20n }),
    ] as const
    for (const each of [dear, dearTail, cheap, middle]) expect(world.add(each)).toBe('ok')
    expect(world.add(transaction({ sender: key(4), tip: 3n }))).toBe('POOL_FULL')
    const better = transaction({ sender: key(4), tip: 10n })
    expect(world.add(better)).toBe('ok')
    // Not the tip of 1, which stands before a tail.
    expect(world.pool.has(world.idOf(cheap))).toBe(false)
    expect(world.pool.has(world.idOf(dear))).toBe(true)
    expect(world.add(cheap)).toBe('POOL_FEE_FLOOR')
    world.nowMs += 60 * 60 * 1000
    expect(world.add(cheap)).toBe('POOL_FULL')
  })

  test('held ones push out nobody, and go first', () => {
    const world = new PoolWorld(small)
    const held = transaction({ sender: key(1), nonce: 1, tip: 99n })
    world.add(held)
    for (const sender of [2, 3, 4]) world.add(transaction({ sender: key(sender), tip: 5n }))
    expect(world.add(transaction({ sender: key(5), nonce: 2, tip: 99n }))).toBe('POOL_FULL')
    expect(world.add(transaction({ sender: key(5), tip: 0n }))).toBe('ok')
    expect(world.pool.has(world.idOf(held))).toBe(false)
  })

  test('what the base fee has left behind goes before what pays', () => {
    const world = new PoolWorld(small)
    const left = transaction({ sender: key(1), tip: 99n, maxBaseFee: 1n })
    world.add(left)
    for (const sender of [2, 3, 4]) {
      world.add(transaction({ sender: key(sender), tip: 5n, maxBaseFee: 9n }))
    }
    world.baseFee = 2n
    expect(world.handed()).toHaveLength(3)
    expect(world.add(transaction({ sender: key(5), tip: 0n, maxBaseFee: 9n }))).toBe('ok')
    expect(world.pool.has(world.idOf(left))).toBe(false)
  })

  test('keeps room for nodes, whatever accounts offer, and no more than that', () => {
    const world = new PoolWorld(small)
    for (const sender of [1, 2, 3, 4]) world.add(transaction({ sender: key(sender), tip: 9n }))
    const ofNodes = [5, 6, 7].map((sender) =>
      transaction({ sender: key(sender), payload: leave(sender) }),
    )
    expect(ofNodes.map((each) => world.add(each))).toEqual(['ok', 'ok', 'POOL_FULL'])
  })
})

describe('what a block is handed', () => {
  test('node-signed ones first, then accounts by the tip of their next, in nonce order', () => {
    const world = new PoolWorld()
    const cheap = transaction({ sender: key(3), tip: 2n })
    const dear = transaction({ sender: key(4), tip: 5n })
    const dearNext = transaction({ sender: key(4), nonce: 1, tip: 1n })
    const early = transaction({ sender: key(5), payload: leave(1) })
    for (const tx of [cheap, dear, dearNext, early]) world.add(tx)
    expect(world.handed()).toEqual([early, dear, cheap, dearNext].map(world.idOf))
  })

  test('redeems fill a part of the block only', () => {
    const world = new PoolWorld()
    const payload: Payload = {
      selector: PayloadKind.redeem,
      value: { rails: [1], vouchers: [], least: 0n },
    }
    const bytes = 60 * 1024
    for (let sender = 1; sender <= 20; sender++) {
      const redeem = transaction({ sender: key(sender), payload })
      expect(world.pool.add(world.idOf(redeem), redeem, bytes).ok).toBe(true)
    }
    const share = world.handed().length * bytes
    expect(share).toBeLessThanOrEqual((BLOCK_BODY_BYTES_MAX * REDEEM_BODY_PERCENT) / 100)
    expect(share).toBeGreaterThan((BLOCK_BODY_BYTES_MAX * REDEEM_BODY_PERCENT) / 100 - bytes)
  })

  test('follows the ledger of the block’s parent, which may be ahead of the final one', () => {
    const world = new PoolWorld()
    for (const nonce of [0, 1]) world.add(transaction({ nonce }))
    const parent = { ...world.view(), nonceOf: () => 1 }
    expect([...world.pool.best(parent)].map(({ body }) => body.nonce)).toEqual([1])
  })
})

describe('after a block', () => {
  test('drops the included, the expired and what no longer executes, with its tail', () => {
    const world = new PoolWorld()
    const [included, expired, stale, staleTail, fresh] = [
      transaction({ sender: key(1) }),
      transaction({ sender: key(2), validUntil: 5 }),
      transaction({ sender: key(3), nonce: 1 }),
      transaction({ sender: key(3), nonce: 2 }),
      transaction({ sender: key(4) }),
    ] as const
    world.add(transaction({ sender: key(3) }))
    for (const tx of [included, expired, stale, staleTail, fresh]) expect(world.add(tx)).toBe('ok')
    world.refuse = (id) => id === world.idOf(stale)
    world.height = 5
    world.include(included, transaction({ sender: key(3) }))
    expect(world.handed()).toEqual([world.idOf(fresh)])
    expect(world.pool.size).toBe(1)
  })

  test('tries again only whose sender stands in the block; all of the nodes at a new epoch', () => {
    const world = new PoolWorld()
    const own = transaction({ sender: key(1), nonce: 1 })
    const free = transaction({ sender: key(2), payload: leave(1) })
    for (const tx of [transaction({}), own, transaction({ sender: key(3) }), free]) world.add(tx)
    world.asked = []
    world.include(transaction({}))
    expect(world.asked).toEqual(['trial'])
    world.asked = []
    world.epoch += 1
    world.refuse = (id) => id === world.idOf(free)
    world.include()
    expect(world.asked).toEqual(['trial'])
    expect(world.pool.has(world.idOf(free))).toBe(false)
  })

  test('another transaction in its place, or a balance that is gone, takes it out', () => {
    const world = new PoolWorld()
    for (const nonce of [0, 1, 2]) world.add(transaction({ nonce }))
    // Another node's block took a different one with nonce 0.
    world.accounts.set(world.nameOf(key(1)), { nonce: 1, balance: 399n })
    const other = transaction({ tip: 7n })
    world.pool.afterBlock([{ id: bytesToHex(transactionId(other)), sender: other.body.sender }])
    expect(world.handed()).toEqual([world.idOf(transaction({ nonce: 1 }))])
    expect(world.pool.size).toBe(1)
  })
})

test('a fault of the rule is passed on as it is', () => {
  const world = new PoolWorld()
  const refusal = fault('RAIL_UNKNOWN', 'no such rail')
  world.verdict = () => refusal
  expect(world.pool.add('id', transaction({}), 200)).toBe(refusal)
  world.verdict = () => ok()
  expect(world.pool.add('id', transaction({}), 200).ok).toBe(true)
})
