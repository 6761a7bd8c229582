import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { draftOf, merge, stateRoot } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Redeem } from '../types/transactions.ts'
import { balanceOf } from './accounts.ts'
import { applyRedeem } from './redeem.ts'
import { auditSupply } from './supply.ts'
import { actor, payoutOf, TEST_PRICE, World } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')

beforeAll(() => installNativeCrypto())

/** Two storage rails with proven epochs and a relay rail, none redeemed yet. */
function earning() {
  const world = new World()
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  const unitPrice = 3n << 19n
  const terms = { price: TEST_PRICE + 7n, unitPrice, lockUnits: 9000n }
  const rails = [1, 2].map(() => world.rent(payer, node, terms))
  rails.push(world.relay(payer, node, 5000n, unitPrice + 1n))
  for (let i = 0; i < 3; i++) {
    world.step()
    world.prove(node)
  }
  return { world, rails }
}

const redeem = fc.record({ rail: fc.nat(2), kib: fc.nat(4000), all: fc.boolean() })
const schedule = fc.record({
  redeems: fc.array(redeem, { minLength: 1, maxLength: 8 }),
  /** Blocks that were proposed and never became final: which redeems stood in them, on what. */
  lost: fc.array(fc.array(fc.nat(7), { minLength: 1, maxLength: 8 }), { maxLength: 5 }),
  /** The order in which the final chain takes them; those of lost blocks come back. */
  order: fc.array(fc.nat(7), { maxLength: 12 }),
})

test('what dropped blocks redeemed comes again in any order, and is paid once', () => {
  let dropped = 0
  fc.assert(
    fc.property(schedule, ({ redeems, lost, order }) => {
      const { world, rails } = earning()
      const made: Redeem[] = redeems.map(({ rail, kib, all }) => {
        const index = rails[rail] as number
        const vouchers = [world.voucher(payer, index, kib)]
        return { rails: all ? rails : [index], vouchers, least: 0n }
      })
      const apply = (draft: LedgerDraft, which: number) => {
        const attempt = draftOf(draft)
        const context = world.context(node, () => undefined)
        const applied = applyRedeem(attempt, made[which % made.length] as Redeem, context)
        if (applied.ok) merge(attempt)
        return applied.ok
      }
      const paid = (draft: LedgerDraft) => balanceOf(draft, payoutOf(node).address)
      const before = bytesToHex(stateRoot(world.draft))
      // A branch of blocks, each on the one before; then all of it is dropped.
      let branch: LedgerDraft = world.draft
      for (const block of lost) {
        branch = draftOf(branch)
        for (const which of block) expect(apply(branch, which)).toBe(true)
        dropped += 1
      }
      expect(bytesToHex(stateRoot(world.draft))).toBe(before)
      // What the final chain pays: once, whatever stood in the dropped blocks and however often.
      const straight = draftOf(world.draft)
      for (const which of made.keys()) apply(straight, which)
      const final = draftOf(world.draft)
      for (const which of [...order, ...lost.flat(), ...made.keys()]) apply(final, which)
      expect(paid(final)).toBe(paid(straight))
      for (const rail of rails) expect(final.rails.get(rail)).toEqual(straight.rails.get(rail))
      expect(final.globals()).toEqual(straight.globals())
      expect(auditSupply(final).ok).toBe(true)
    }),
    { numRuns: 60 },
  )
  expect(dropped).toBeGreaterThan(20)
}, 120_000)
