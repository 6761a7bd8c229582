import { hexToBytes } from '@noble/hashes/utils.js'
import { describe, expect, test } from 'vitest'
import { type Vote, VoteKind } from '../types/consensus-objects.ts'
import {
  type EpochRelay,
  nextEpoch,
  type RelayEffect,
  rememberBlocks,
  startRelay,
  stepRelay,
} from './epoch-relay.ts'
import type { ConsensusMessage, EpochSetup } from './machine-interface.ts'
import { createMachine } from './machine-state.ts'
import { keyedCrypto, MachineBench, setupOf, TIMING } from './testing/machine-bench.ts'

const { notarize, nullify, finalize } = VoteKind
const [ONE, OTHER] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]

function configOf(setup: EpochSetup, self: number | undefined, onVerify = () => {}) {
  const crypto = keyedCrypto(self ?? 0)
  const verify: typeof crypto.verify = (...args) => {
    onVerify()
    return crypto.verify(...args)
  }
  const head = setup.start
  return { setup, head, self, signAbove: 0, timing: TIMING, crypto: { ...crypto, verify } }
}

/** A relay with what it proved so far, and a bench that speaks for everybody else. */
class LateWorld {
  readonly bench: MachineBench
  readonly relay: EpochRelay
  checks = 0
  nowMs: number
  effects: RelayEffect[]

  constructor(self?: number, lastHeight = 100) {
    this.bench = new MachineBench({ lastHeight, self: undefined })
    this.nowMs = this.bench.nowMs
    const config = configOf(setupOf([1, 1, 1, 1], lastHeight), self, () => {
      this.checks += 1
    })
    const { relay, effects } = startRelay(createMachine(config), [], this.nowMs)
    this.relay = relay
    this.effects = effects
  }

  receive(message: ConsensusMessage, from = 'peer'): void {
    const { nowMs } = this
    this.effects.push(...stepRelay(this.relay, { type: 'message', nowMs, from, message }))
  }

  vote(vote: Vote, from?: string): void {
    this.receive({ type: 'vote', vote }, from)
  }

  hear(validator: number, kind: VoteKind, view: number, hash?: Uint8Array): void {
    this.vote(this.bench.vote(validator, kind, view, hash))
  }

  /** All that is known of it at once. */
  finalise(view: number, hash = ONE, signers = [0, 1, 2]): void {
    const certificate = this.bench.certificate(finalize, view, hash, signers)
    this.receive({ type: 'certificate', certificate })
  }

  /** Validators accused, with the kinds of their two votes. */
  get accused(): string[] {
    return this.effects.flatMap((effect) =>
      effect.type === 'evidence'
        ? [
            `${effect.first.validator}: ${effect.first.statement.kind}+${effect.second.statement.kind}`,
          ]
        : [],
    )
  }
}

describe('a vote of a view that is final', () => {
  test('is evidence beside one that was heard before', () => {
    const world = new LateWorld()
    world.hear(3, notarize, 1, ONE)
    world.hear(2, nullify, 1)
    world.finalise(1, ONE, [0, 1, 3])
    expect(world.accused).toEqual([])
    world.hear(3, notarize, 1, OTHER)
    world.hear(2, finalize, 1, ONE)
    expect(world.accused).toEqual(['3: 1+1', '2: 2+3'])
    // Once for each validator and view.
    world.hear(3, finalize, 1, OTHER)
    world.hear(3, nullify, 1)
    expect(world.accused).toHaveLength(2)
  })

  test('is evidence beside one that came late, too', () => {
    const world = new LateWorld()
    world.finalise(2, ONE, [0, 1, 2])
    world.hear(3, finalize, 1, OTHER)
    world.hear(3, nullify, 1)
    expect(world.accused).toEqual(['3: 3+2'])
  })

  test('is evidence beside one in the certificate that made it final, in either order', () => {
    const late = new LateWorld()
    late.finalise(1)
    late.hear(1, nullify, 1)
    expect(late.accused).toEqual(['1: 3+2'])
    const early = new LateWorld()
    early.hear(1, nullify, 1)
    early.hear(2, notarize, 1, OTHER)
    early.finalise(1)
    expect(early.accused).toEqual(['1: 2+3', '2: 1+3'])
  })

  test('is evidence beside one in the justification of a final block', () => {
    const world = new LateWorld()
    const block = world.bench.propose(3)
    world.receive({ type: 'proposal', proposal: block })
    const { nowMs, relay } = world
    const validated = { type: 'blockValidated', nowMs, hash: block.hash, verdict: 'valid' } as const
    world.finalise(3, hexToBytes(block.hash))
    world.effects.push(...stepRelay(relay, validated))
    expect(world.effects.map(({ type }) => type)).toContain('commit')
    // Views 1 and 2 were skipped by validators 1, 2 and 3.
    world.hear(3, finalize, 1, ONE)
    world.hear(0, finalize, 2, ONE)
    expect(world.accused).toEqual(['3: 2+3'])
  })

  test('is judged by stored blocks after a start', () => {
    const first = new LateWorld()
    const block = first.bench.propose(3)
    const world = new LateWorld()
    world.finalise(4)
    expect(rememberBlocks(world.relay, [block])).toEqual([])
    world.hear(2, finalize, 2, ONE)
    expect(world.accused).toEqual(['2: 2+3'])
    // What was heard before the blocks were there is judged when they come.
    const later = new LateWorld()
    later.finalise(4)
    later.hear(2, finalize, 2, ONE)
    expect(rememberBlocks(later.relay, [block])).toMatchObject([
      { type: 'evidence', first: { validator: 2 }, second: { validator: 2 } },
    ])
  })

  test('is no evidence where an honest validator signs both', () => {
    const world = new LateWorld()
    for (const late of [false, true]) {
      world.hear(0, notarize, 1, ONE)
      world.hear(0, finalize, 1, ONE)
      // Another block was skipped after it was voted for.
      world.hear(3, notarize, 1, OTHER)
      world.hear(3, nullify, 1)
      if (!late) world.finalise(1)
    }
    world.hear(1, notarize, 1, ONE)
    expect(world.accused).toEqual([])
  })

  test('of an epoch that is over is judged by its own set', () => {
    const world = new LateWorld(undefined, 1)
    const last = world.bench.propose(1)
    const hash = hexToBytes(last.hash)
    world.hear(3, notarize, 1, hash)
    world.hear(2, nullify, 2)
    world.receive({ type: 'proposal', proposal: last })
    const { nowMs, relay } = world
    const validated = { type: 'blockValidated', nowMs, hash: last.hash, verdict: 'valid' } as const
    const certificate = world.bench.certificate(finalize, 1, hash, [0, 1, 2])
    world.receive({ type: 'certificate', certificate })
    world.effects.push(...stepRelay(relay, validated))
    const { validators } = setupOf([1, 1, 1, 1], 1)
    const start = { hash: last.hash, header: last.header, certificate }
    const setup: EpochSetup = {
      epoch: 2,
      // Other keys at the same places.
      validators: validators.toReversed(),
      previousValidators: validators,
      start,
      lastHeight: 2,
    }
    nextEpoch(relay, createMachine(configOf(setup, undefined)), [], nowMs)
    world.hear(3, notarize, 1, OTHER)
    world.hear(2, finalize, 2, OTHER)
    world.hear(1, nullify, 1)
    expect(world.accused).toEqual(['3: 1+1', '2: 2+3', '1: 3+2'])
    // A node that starts now knows how the epoch ended.
    const { relay: fresh } = startRelay(createMachine(configOf(setup, undefined)), [], nowMs)
    const message = { type: 'vote', vote: world.bench.vote(1, nullify, 1) } as const
    const effects = stepRelay(fresh, { type: 'message', nowMs, from: 'peer', message })
    expect(effects[0]).toMatchObject({ type: 'evidence', second: { validator: 1 } })
  })

  test('of our own key that contradicts ours is another signer', () => {
    const world = new LateWorld(3)
    world.finalise(9)
    world.hear(3, nullify, 9)
    world.effects.length = 0
    world.hear(3, finalize, 9, ONE)
    expect(world.effects.map(({ type }) => type)).toEqual(['doppelganger', 'evidence'])
  })
})

describe('late votes are bounded', () => {
  test('a false one costs its peer its next ones for a while, and nobody else', () => {
    const world = new LateWorld()
    world.hear(3, notarize, 1, ONE)
    world.finalise(1)
    const truth = world.bench.vote(3, notarize, 1, OTHER)
    world.checks = 0
    for (let i = 0; i < 100; i++) {
      const hash = new Uint8Array(32).fill(100 + i)
      world.vote({ ...world.bench.vote(3, notarize, 1, hash), signature: truth.signature }, 'liar')
    }
    expect(world.checks).toBe(1)
    world.vote(truth, 'liar')
    expect(world.accused).toEqual([])
    world.nowMs += TIMING.rebroadcastMs
    world.vote(truth, 'liar')
    expect(world.accused).toEqual(['3: 1+1'])
    const beside = new LateWorld()
    beside.hear(3, notarize, 1, ONE)
    beside.finalise(1)
    beside.vote({ ...truth, signature: new Uint8Array(64) }, 'liar')
    beside.vote(truth, 'honest')
    expect(beside.accused).toEqual(['3: 1+1'])
  })

  test('what is known or old costs no check', () => {
    const world = new LateWorld()
    world.finalise(1)
    world.hear(3, notarize, 1, ONE)
    world.checks = 0
    for (let i = 0; i < 100; i++) world.hear(3, notarize, 1, ONE)
    // Of the certificate.
    for (let i = 0; i < 100; i++) world.hear(1, finalize, 1, ONE)
    // No such validator, no such epoch, malformed.
    world.hear(9, notarize, 1, OTHER)
    const { statement, ...vote } = world.bench.vote(3, notarize, 1, OTHER)
    world.vote({ ...vote, statement: { ...statement, epoch: 0 } })
    world.vote({ ...vote, statement: { ...statement, kind: 7 } })
    expect(world.checks).toBe(0)
  })

  test('the newest 256 views are remembered, of each validator two votes', () => {
    const world = new LateWorld()
    world.hear(3, notarize, 1, ONE)
    for (let view = 1; view <= 300; view++) {
      world.finalise(view, ONE, [0, 1, 2])
      for (const kind of [notarize, finalize]) {
        for (const hash of [ONE, OTHER]) world.hear(3, kind, view, hash)
      }
    }
    const { pastVotes } = world.relay
    expect(pastVotes).toHaveLength(256)
    expect([pastVotes[0]?.view, pastVotes.at(-1)?.view]).toEqual([45, 300])
    for (const { ballots } of pastVotes) {
      const votes = ballots.reduce((sum, { signatures }) => sum + signatures.size, 0)
      expect(votes).toBeLessThanOrEqual(2)
    }
    const { length } = world.accused
    world.checks = 0
    world.hear(2, nullify, 44)
    expect([world.accused.length, world.checks]).toEqual([length, 0])
    world.hear(2, nullify, 45)
    expect(world.accused).toHaveLength(length + 1)
  })
})
