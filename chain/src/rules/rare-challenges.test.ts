import { beforeAll, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { epochsOf } from './settle-rail.ts'
import { actor, World } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')
const RAILS = 4
const EPOCHS = 80
/** What keeping a rail for an epoch costs, in parts of its pay. */
const COST = 0.8

beforeAll(() => installNativeCrypto())

/**
 * Proven epochs less what keeping costs, of a node that dropped so many of its rails and is asked
 * in one of `rarity` epochs. The same salt draws the same beacons, whatever is dropped.
 */
function profit(drop: number, rarity: bigint, salt: string): number {
  const world = new World({ proofWindowEpochs: 4, strikesToEvict: 5 })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  const rails = Array.from({ length: RAILS }, () => world.rent(payer, node, { term: 400 }))
  for (const rail of rails.slice(0, drop)) world.dropped.add(rail)
  const q = ((1n << 64n) - 1n) / rarity
  let kept = 0
  for (let i = 0; i < EPOCHS; i++) {
    world.nextEpoch({ q1: q, q2: q })
    world.fixBeacon(salt)
    world.touch(node)
    if (world.node(node).evicted) break
    kept += RAILS - drop
    if (world.isChallenged(node)) world.tryProve(node)
  }
  const proven = rails.map((rail) => epochsOf(world.draft, world.rail(rail), world.epoch).E)
  return proven.reduce((sum, E) => sum + E, 0) - COST * kept
}

/** Pay waits for the next proof and cost does not, so q drops out (the sampling lemma). */
test.each([2n, 4n, 8n])(
  'asked in one of %s epochs, no share dropped is worth it',
  (rarity) => {
    const salts = Array.from({ length: 8 }, (_, i) => `luck ${i}`)
    const total = (drop: number) => salts.reduce((sum, salt) => sum + profit(drop, rarity, salt), 0)
    const honest = total(0)
    expect(honest).toBeGreaterThan(0)
    for (const drop of [1, 2, RAILS]) expect(total(drop), `${drop} dropped`).toBeLessThan(honest)
  },
  120_000,
)
