import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { Prove, ProveOpening } from '../types/transactions.ts'
import { applyProve } from './prove.ts'
import { actor, codeOf, World } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')
const other = actor('other')
const ALWAYS = (1n << 64n) - 1n

beforeAll(async () => {
  await installNativeCrypto()
})

function challengedWorld(): { world: World; good: Prove } {
  const world = new World({ baseFeePerByte: 1n })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  for (const leaves of [1, 3, 300, 8, 5]) world.rent(payer, node, { leaves })
  world.rent(payer, other)
  world.step()
  const good = world.buildProve(node)
  if (!good) throw new Error('nothing was dropped')
  return { world, good }
}

function tryProve(world: World, prove: Prove, sender = node) {
  return world.execute(sender, (draft, context) => applyProve(draft, prove, context))
}

describe('prove', () => {
  test('counts epochs, books its bytes as debt, and leaves a receipt', () => {
    const { world, good } = challengedWorld()
    expect(codeOf(tryProve(world, good))).toBe('ok')
    expect(world.node(node)).toMatchObject({ A: 2, P: 1, seen: 3, strikes: 0, debt: 1000n })
    expect(world.receiptsOf('proof')).toEqual([
      { node: node.address, epoch: 2, epochs: 1, A: 2, P: 1, bytes: 1000, debt: 1000n },
    ])
    expect(world.draft.epochs.get(2)).toMatchObject({ proofBytes: 1000, proofs: 1 })
    expect(codeOf(tryProve(world, good))).toBe('CHALLENGE_NOT_OPEN')
    world.audit()
  })

  test('a late answer pays for the challenges that it held up, so lateness saves nothing', () => {
    const late = (delay: number, q = ALWAYS, window = 12) => {
      const world = new World({ baseFeePerByte: 1n, proofWindowEpochs: window })
      world.fund(payer, 10n ** 17n)
      world.fixBeacon()
      world.rent(payer, node)
      world.nextEpoch({ q1: ALWAYS, q2: ALWAYS })
      world.fixBeacon()
      for (let i = 0; i < delay; i++) {
        world.nextEpoch({ q1: q, q2: q })
        world.fixBeacon()
      }
      world.prove(node)
      return world.node(node).debt
    }
    expect([0, 1, 5, 11].map((delay) => late(delay))).toEqual([1000n, 2000n, 6000n, 12_000n])
    // Where challenges are rare an answer holds up none, or as many as a prompt one would have met.
    expect(late(11, 0n)).toBe(1000n)
    const some = late(11, ALWAYS / 3n)
    expect(some).toBeGreaterThan(1000n)
    expect(some).toBeLessThan(12_000n)
  })

  test('an epoch whose beacon is not fixed yet, or never was, held nothing up', () => {
    const { world } = challengedWorld()
    world.nextEpoch()
    world.prove(node)
    expect(world.node(node).debt).toBe(1000n)
  })

  test('refuses anything but the eight drawn openings of the open challenge', () => {
    const { world, good } = challengedWorld()
    const change = (fields: Partial<ProveOpening>, at = 3): Prove => ({
      ...good,
      openings: good.openings.map((opening, i) => (i === at ? { ...opening, ...fields } : opening)),
    })
    const drawn = good.openings[3] as ProveOpening
    const another = good.openings.find(({ rail }) => rail !== drawn.rail) as ProveOpening
    const cases: [string, Prove][] = [
      ['CHALLENGE_NOT_OPEN', { ...good, epoch: 1 }],
      ['CHALLENGE_NOT_OPEN', { ...good, epoch: 0xffffffff }],
      ['OPENINGS_COUNT', { ...good, openings: good.openings.slice(0, 7) }],
      ['OPENINGS_COUNT', { ...good, openings: [] }],
      ['OPENING_ENTRY', change(another)],
      ['OPENING_ENTRY', change({ weight: drawn.weight + 1n })],
      ['OPENING_ENTRY', change({ generation: 1 })],
      ['OPENING_ENTRY', change({ entry: 1000 })],
      ['OPENING_ENTRY', change({ sumPath: drawn.sumPath.slice(1) })],
      ['OPENING_LEAF', change({ opening: { ...drawn.opening, leaf: new Uint8Array(256) } })],
      ['OPENING_LEAF', change({ opening: { ...drawn.opening, path: [new Uint8Array(32)] } })],
      ['RAIL_UNKNOWN', { ...good, clear: [5] }],
      ['RAIL_EARNING', { ...good, clear: [0] }],
    ]
    for (const [code, prove] of cases) expect(codeOf(tryProve(world, prove))).toBe(code)
    expect(codeOf(tryProve(world, good, other))).toBe('OPENING_ENTRY')
    expect(codeOf(tryProve(world, good, payer))).toBe('NODE_UNKNOWN')
    expect(codeOf(tryProve(world, good))).toBe('ok')
  })

  test('a challenge draws from its own snapshot, whatever is filled or removed meanwhile', () => {
    const { world } = challengedWorld()
    for (let i = 0; i < 4; i++) world.rent(payer, node)
    world.prove(node)
    world.step()
    world.rent(payer, node)
    world.prove(node)
    world.step()
    world.prove(node)
    expect(world.node(node)).toMatchObject({ P: 3, inventoryCount: 10 })
    expect(world.node(node).snapshots.length).toBeLessThanOrEqual(4)
  })

  test('an evicted node has nothing to prove', () => {
    const { world, good } = challengedWorld()
    while (codeOf(world.evict(node)) !== 'ok') world.step()
    expect(codeOf(tryProve(world, good))).toBe('NODE_EVICTED')
  })
})
