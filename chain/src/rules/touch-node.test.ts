import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import { epochsOf } from './settle-rail.ts'
import { timeAmount } from './settlement.ts'
import { nodeAsTouched } from './touch-node.ts'
import { EagerModel } from './testing/eager-model.ts'
import { actor, codeOf, TEST_PRICE, World } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')

beforeAll(async () => {
  await installNativeCrypto()
})

/** What happens to a node in an epoch: before the beacon, whether one is fixed, and after it. */
const action = fc.oneof(
  { weight: 14, arbitrary: fc.constant({ kind: 'prove' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'touch' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fill' as const), term: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), rail: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), rail: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('close' as const), rail: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('redeem' as const), rail: fc.nat() }) },
)
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never
const epochPlan = fc.record({
  early: fc.array(action, { maxLength: 2 }),
  hasBeacon: fc.boolean().map((no) => !no),
  late: fc.array(action, { maxLength: 3 }),
  isQuiet: fc.integer({ min: 0, max: 9 }).map((n) => n < 3),
  q: fc.constantFrom(0n, 1n << 62n, 1n << 63n, (1n << 64n) - 1n),
})
const ACTIVE = { hasBeacon: fc.constant(true), q: fc.constant((1n << 64n) - 1n) }
const plan = fc.array(
  fc.oneof(
    epochPlan,
    epochPlan,
    fc.record({
      ...ACTIVE,
      early: fc.array(action, { maxLength: 1 }),
      late: fc.array(action, { maxLength: 2 }),
      isQuiet: fc.constant(false),
    }),
  ),
  { minLength: 10, maxLength: 45 },
)
/** Rails that both sides carry. */
const FIRST_TERM = 30
const MINIMUM = 5

class Duel {
  readonly world: World
  readonly model: EagerModel
  closed = 0
  /** Closes that paid the minimum charge above what was proven. */
  raised = 0

  constructor(window: number) {
    this.world = new World({
      proofWindowEpochs: window,
      strikesToEvict: 3,
      minimumChargeEpochs: MINIMUM,
    })
    this.world.fund(payer, 10n ** 15n)
    this.world.fixBeacon()
    const params = { window, strikesToEvict: 3, node: node.address }
    this.model = new EagerModel(params, this.world.epoch)
    this.model.fixBeacon(new Uint8Array(32), this.world.height, 0n)
    const first = this.world.rent(payer, node, { term: FIRST_TERM })
    this.model.fill(first, 256n * TEST_PRICE, FIRST_TERM)
  }

  epoch(step: typeof plan extends fc.Arbitrary<(infer S)[]> ? S : never): void {
    const { world, model } = this
    world.nextEpoch({ q1: step.q, q2: step.q })
    model.beginEpoch(world.epoch)
    if (!step.isQuiet) for (const early of step.early) this.act(early)
    if (step.hasBeacon) {
      world.fixBeacon()
      const beacon = world.draft.epochs.get(world.epoch)?.beacon as Uint8Array
      model.fixBeacon(beacon, world.height, step.q)
    }
    world.height += 1
    if (!step.isQuiet) for (const late of step.late) this.act(late)
  }

  act(move: Action): void {
    const { world, model } = this
    const rails = [...model.rails.keys()]
    const rail = 'rail' in move ? (rails[move.rail % rails.length] as number) : 0
    let isTouched = false
    switch (move.kind) {
      case 'prove':
        expect(world.isChallenged(node)).toBe(model.challenge !== undefined)
        if (!model.challenge) return
        isTouched = codeOf(world.tryProve(node)) === 'ok'
        if (isTouched) model.prove()
        break
      case 'touch':
        this.touch()
        isTouched = true
        break
      case 'fill': {
        const term = move.term + MINIMUM
        const contract = world.open(payer, { term })
        if (model.evicted) return
        const filled = world.fill(payer, node, [contract, 0])
        model.fill(filled, 256n * TEST_PRICE, term)
        isTouched = true
        break
      }
      case 'lose':
        isTouched = codeOf(world.leave(node, rail, true)) === 'ok'
        if (isTouched) model.lose(rail)
        break
      case 'clear':
        isTouched = codeOf(world.clearWeight(rail, node)) === 'ok'
        if (isTouched && !model.evicted) model.clear(rail)
        break
      case 'redeem':
        isTouched = codeOf(world.redeem(node, [rail])) === 'ok'
        break
      case 'close':
        isTouched = this.close(rail)
        break
    }
    if (isTouched) this.compare()
  }

  /** Whoever only looks sees what the touch then leaves. */
  touch(): void {
    const { world } = this
    const foreseen = nodeAsTouched(world.draft, world.node(node), world.epoch)
    world.touch(node)
    const { A, P, seen, strikes, challenge, challengeHeight, evicted, evictedEpoch } = foreseen
    const decided = { A, P, seen, strikes, challenge, challengeHeight, evicted, evictedEpoch }
    expect(world.node(node)).toMatchObject(decided)
    expect(world.node(node).log.at(-1)).toEqual(foreseen.log.at(-1))
  }

  /** Both steps of a close; a settled rail leaves both sides. */
  close(rail: number): boolean {
    const { world, model } = this
    const wasAsked = model.rail(rail).ask !== undefined
    if (codeOf(world.close(payer, rail)) !== 'ok') return false
    if (!wasAsked) {
      model.rail(rail).ask = { epoch: world.epoch, height: world.height }
      return true
    }
    expect(world.receiptsOf('close').at(-1)?.asked).toBe(false)
    expect(world.rail(rail).paidTime).toBe(timeAmount(TEST_PRICE, 4, this.due(rail)))
    this.closed += 1
    if (this.due(rail) > model.epochs(rail).E) this.raised += 1
    model.rail(rail).isIn = false
    if (model.rails.size > 1) model.rails.delete(rail)
    return true
  }

  /** E of a close: the minimum charge where the rail passed its closing resolution and stayed. */
  due(rail: number): number {
    const { left, clearedEpoch } = this.model.rail(rail)
    const closing = this.model.closing(rail)
    const isHeld = closing?.passed && closing.epoch <= (clearedEpoch ?? Infinity) && !left
    return Math.max(this.model.epochs(rail).E, isHeld ? MINIMUM : 0)
  }

  compare(): void {
    const { world, model } = this
    const record = world.node(node)
    const { A, P, strikes, evicted } = model
    expect({
      A: record.A,
      P: record.P,
      strikes: record.strikes,
      evicted: record.evicted,
      challenge: record.challenge,
    }).toEqual({ A, P, strikes, evicted, challenge: model.challenge?.epoch ?? NONE })
    for (const index of model.rails.keys()) {
      const rail = world.rail(index)
      if (!rail.live) continue
      expect(epochsOf(world.draft, rail, world.epoch)).toEqual(model.epochs(index))
    }
    const last = model.resolutions.at(-1)
    if (last) expect(record.log.at(-1)).toMatchObject({ epoch: last.epoch, A: last.A, P: last.P })
  }
}

describe('the lazy automaton', () => {
  const seen = { passed: 0, lapsed: 0, evicted: 0, merged: 0, closed: 0, raised: 0 }

  test.each([1, 2, 4])(
    'equals one that looks at every block, and E and Elapsed a count by epochs (W = %i)',
    (window) => {
      fc.assert(
        fc.property(plan, (steps) => {
          const duel = new Duel(window)
          for (const step of steps) duel.epoch(step)
          duel.act({ kind: 'touch' })
          duel.world.audit()
          for (const { passed } of duel.model.resolutions) seen[passed ? 'passed' : 'lapsed'] += 1
          if (duel.model.evicted) seen.evicted += 1
          const { log } = duel.world.node(node)
          seen.closed += duel.closed
          seen.raised += duel.raised
          seen.merged += duel.model.resolutions.length - log.length
        }),
        { numRuns: 120 },
      )
    },
    60_000,
  )

  test('met all that it is held to: a property that meets nothing proves nothing', () => {
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0)
  })
})
