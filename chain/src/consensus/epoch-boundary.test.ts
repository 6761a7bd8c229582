import { hexToBytes } from '@noble/hashes/utils.js'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { type Justification, JustificationType, VoteKind } from '../types/consensus-objects.ts'
import { certificateBytes } from './certificate.ts'
import { epochOf, nextEpoch, type RelayEffect, startRelay, stepRelay } from './epoch-relay.ts'
import type { ConsensusEffect, EpochSetup, Proposal } from './machine-interface.ts'
import { BUNDLE_BYTES_MAX, createMachine } from './machine-state.ts'
import { validatorsOf } from './past-epoch.ts'
import {
  keyedCrypto,
  MachineBench,
  ofType,
  type ProposedBlock,
  setupOf,
  TIMING,
  votesCast,
} from './testing/machine-bench.ts'

const { notarize, nullify, finalize } = VoteKind

function proposalsIn(effects: readonly ConsensusEffect[]): Proposal[] {
  return ofType(effects, 'broadcast').flatMap(({ message }) =>
    message.type === 'proposal' ? [message.proposal] : [],
  )
}

/** A bench that leads `view`, with the epoch's last block notarized in an earlier view. */
function lastBlockNotarized() {
  const bench = new MachineBench({ lastHeight: 1 })
  const led = bench.viewLed(true, 2)
  const view = led - 1
  bench.skipTo(view)
  const last = bench.propose(view)
  bench.accept(last)
  bench.take()
  bench.certify(notarize, view, hexToBytes(last.hash))
  return { bench, view, led, last }
}

/** The same block proposed again by the leader of a later view. */
function reproposal(bench: MachineBench, block: ProposedBlock, view: number): ProposedBlock {
  const hash = hexToBytes(block.hash)
  const certified = block.leaderVote.statement.view
  const skips = []
  for (let u = certified + 1; u < view; u++) skips.push(bench.certificate(nullify, u))
  const parent = [bench.certificate(notarize, certified, hash)]
  const leaderVote = bench.vote(bench.leader(view), notarize, view, hash)
  return { ...block, justification: { parent, skips }, leaderVote }
}

describe('the leader (consensus 1.6, propose)', () => {
  test('waits a block interval, builds on the highest certified parent, logs before it speaks', () => {
    const bench = new MachineBench()
    const view = bench.viewLed(true)
    bench.skipTo(view)
    const [ask] = ofType(bench.effects, 'buildBlock')
    expect(ask?.fields).toMatchObject({ view, height: 1, parentView: 0, timeMs: bench.nowMs })
    expect(ask?.justification.skips).toHaveLength(view - 1)
    bench.take()
    const built = bench.propose(view, undefined, ask?.fields)
    bench.step({ type: 'blockBuilt', nowMs: bench.nowMs, view, header: built.header })
    expect(votesCast(bench.effects)).toEqual([`notarize ${view}`])
    expect(bench.effects.map(({ type }) => type)).toEqual(['persist', 'persist', 'broadcast'])
    expect(proposalsIn(bench.effects)[0]?.leaderVote.statement.hash).toEqual(hexToBytes(built.hash))
  })

  test('waits for its parent’s time and stays silent in a view it gave up', () => {
    const bench = new MachineBench()
    bench.nowMs -= 500
    const early = new MachineBench()
    const view = bench.viewLed(true, 2)
    bench.skipTo(view - 1)
    const block = bench.propose(view - 1, undefined, { timeMs: bench.nowMs })
    bench.accept(block)
    bench.take()
    bench.certify(notarize, view - 1, hexToBytes(block.hash))
    expect(ofType(bench.effects, 'buildBlock')).toEqual([])
    expect(ofType(bench.effects, 'setTimer')).toContainEqual({
      type: 'setTimer',
      timer: 'propose',
      view,
      atMs: block.header.timeMs + 1000,
    })
    bench.timer('skip')
    bench.nowMs += 5000
    expect(ofType(bench.timer('propose'), 'buildBlock')).toEqual([])
    expect(early.view).toBe(1)
  })

  test('drops a block that was built too late', () => {
    const bench = new MachineBench()
    const view = bench.viewLed(true)
    bench.skipTo(view)
    const [ask] = ofType(bench.take(), 'buildBlock')
    bench.timer('skip')
    const built = bench.propose(view, undefined, ask?.fields)
    bench.step({ type: 'blockBuilt', nowMs: bench.nowMs, view, header: built.header })
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
    expect(proposalsIn(bench.effects)).toEqual([])
  })

  test('says its proposal again after a restart instead of making another', () => {
    const bench = new MachineBench()
    const view = bench.viewLed(true)
    bench.skipTo(view)
    const [ask] = ofType(bench.effects, 'buildBlock')
    const built = bench.propose(view, undefined, ask?.fields)
    bench.step({ type: 'blockBuilt', nowMs: bench.nowMs, view, header: built.header })
    const records = ofType(bench.effects, 'persist').map(({ record }) => record)
    const restarted = new MachineBench({ records })
    expect(proposalsIn(restarted.effects)).toMatchObject([{ leaderVote: { statement: { view } } }])
    expect(ofType(restarted.effects, 'buildBlock')).toEqual([])
    expect(votesCast(restarted.effects)).toEqual([])
  })
})

describe('the end of an epoch', () => {
  test('its last block is proposed again until it is final, never given a child', () => {
    const { bench, view, led, last } = lastBlockNotarized()
    expect(ofType(bench.effects, 'buildBlock')).toEqual([])
    const wake = ofType(bench.effects, 'setTimer').find(({ timer }) => timer === 'propose')
    bench.nowMs = wake?.atMs ?? bench.nowMs
    bench.timer('propose')
    const [again] = proposalsIn(bench.effects)
    expect(again?.header).toEqual(last.header)
    expect(again?.leaderVote.statement).toMatchObject({ view: led })
    expect(again?.justification.parent[0]?.statement.view).toBe(view)
    expect(votesCast(bench.effects)).toEqual([`finalize ${view}`, `notarize ${led}`])
    expect(ofType(bench.effects, 'persist').map(({ record }) => record.type)).toContain(
      'reproposal',
    )
  })

  test('a re-proposal is notarized and can be what becomes final, with its links kept', () => {
    const bench = new MachineBench({ lastHeight: 1 })
    const view = bench.viewLed(false)
    bench.skipTo(view)
    const last = bench.propose(view)
    bench.accept(last)
    bench.certify(notarize, view, hexToBytes(last.hash))
    const later = bench.viewLed(false, view + 2)
    bench.skipTo(later)
    bench.take()
    bench.receiveProposal(reproposal(bench, last, later))
    expect(votesCast(bench.effects)).toEqual([`notarize ${later}`])
    bench.certify(finalize, later, hexToBytes(last.hash))
    const [commit] = ofType(bench.effects, 'commit')
    expect(commit?.certificate.statement.view).toBe(later)
    expect(commit?.reproposals.map((link) => link.view)).toEqual([later])
    expect(bench.machine.finished).toBe(true)
    const last3 = ofType(bench.effects, 'broadcast').at(-1)
    expect(last3?.message).toMatchObject({ type: 'certificate' })
  })

  test('who objected to a last block that a quorum notarized helps it to its end', () => {
    const bench = new MachineBench({ lastHeight: 1 })
    const later = bench.viewLed(false, 3)
    const view = bench.viewLed(false) < later ? bench.viewLed(false) : later - 1
    bench.skipTo(view)
    const last = bench.propose(view)
    bench.receiveProposal(last)
    bench.validated(last.hash, 'refused')
    expect(votesCast(bench.effects)).toContain(`nullify ${view}`)
    bench.certify(notarize, view, hexToBytes(last.hash))
    bench.skipTo(later)
    bench.take()
    bench.receiveProposal(reproposal(bench, last, later))
    expect(votesCast(bench.effects)).toEqual([`notarize ${later}`])
    const led = bench.viewLed(true, later + 1)
    bench.skipTo(led)
    const wake = ofType(bench.effects, 'setTimer').findLast(({ timer }) => timer === 'propose')
    bench.take()
    bench.nowMs = wake?.atMs ?? bench.nowMs
    bench.timer('propose')
    expect(proposalsIn(bench.effects)).toMatchObject([{ leaderVote: { statement: { view: led } } }])
  })

  test('a child of the last block, and a re-proposal of any other block, are refused', () => {
    const bench = new MachineBench({ lastHeight: 1 })
    const view = bench.viewLed(false)
    bench.skipTo(view)
    const last = bench.propose(view)
    bench.accept(last)
    bench.certify(notarize, view, hexToBytes(last.hash))
    const next = bench.viewLed(false, view + 1)
    bench.skipTo(next)
    bench.take()
    bench.accept(bench.propose(next, last))
    expect(votesCast(bench.effects)).toEqual([`nullify ${next}`])

    const middle = new MachineBench({ lastHeight: 9 })
    middle.skipTo(view)
    const block = middle.propose(view)
    middle.accept(block)
    middle.certify(notarize, view, hexToBytes(block.hash))
    middle.skipTo(next)
    middle.take()
    middle.receiveProposal(reproposal(middle, block, next))
    expect(votesCast(middle.effects)).toEqual([`nullify ${next}`])
  })

  test('a re-proposal with a justification that does not hold is ignored, not blamed', () => {
    const bench = new MachineBench({ lastHeight: 1 })
    const view = bench.viewLed(false)
    bench.skipTo(view)
    const last = bench.propose(view)
    bench.accept(last)
    bench.certify(notarize, view, hexToBytes(last.hash))
    const later = bench.viewLed(false, view + 2)
    bench.skipTo(later)
    bench.take()
    const { justification, ...rest } = reproposal(bench, last, later)
    const bare: Justification = { parent: justification.parent, skips: [] }
    bench.receiveProposal({ ...rest, justification: bare })
    expect(bench.effects).toEqual([])
    bench.receiveProposal({ ...rest, justification })
    expect(votesCast(bench.effects)).toEqual([`notarize ${later}`])
  })

  test('a certificate of one last block is no reason to propose another one again', () => {
    const bench = new MachineBench({ lastHeight: 1 })
    const view = bench.viewLed(false)
    bench.skipTo(view)
    const last = bench.propose(view)
    const beside = bench.propose(view, undefined, { txRoot: new Uint8Array(32).fill(7) })
    bench.accept(last)
    bench.receiveProposal(beside)
    bench.certify(notarize, view, hexToBytes(last.hash))
    const later = bench.viewLed(false, view + 1)
    bench.skipTo(later)
    bench.take()
    const { justification } = reproposal(bench, last, later)
    const leaderVote = bench.vote(bench.leader(later), notarize, later, hexToBytes(beside.hash))
    bench.receiveProposal({ ...beside, justification, leaderVote })
    bench.validated(beside.hash)
    expect(votesCast(bench.effects)).toEqual([])
  })
})

describe('from one epoch to the next', () => {
  const configOf = (setup: EpochSetup) => ({
    setup,
    head: setup.start,
    self: 0,
    signAbove: 0,
    timing: TIMING,
    crypto: keyedCrypto(0),
  })

  /** A relay whose first epoch ends at height 1, and its bench for making messages. */
  function relayAtEnd() {
    const bench = new MachineBench({ lastHeight: 1, self: undefined })
    const { nowMs } = bench
    const { relay } = startRelay(createMachine(configOf(setupOf([1, 1, 1, 1], 1))), [], nowMs)
    const effects: RelayEffect[] = []
    const receive = (message: Parameters<MachineBench['receive']>[0], from = 'peer') => {
      effects.push(...stepRelay(relay, { type: 'message', nowMs, from, message }))
    }
    return { bench, relay, effects, receive, nowMs }
  }

  function finish(
    { bench, relay, effects, receive, nowMs }: ReturnType<typeof relayAtEnd>,
    view = 1,
  ) {
    const last = bench.propose(view)
    receive({ type: 'proposal', proposal: last })
    effects.push(
      ...stepRelay(relay, { type: 'blockValidated', nowMs, hash: last.hash, verdict: 'valid' }),
    )
    const certificate = bench.certificate(finalize, view, hexToBytes(last.hash))
    const start = { hash: last.hash, header: last.header, certificate }
    const { validators } = bench.setup
    const setup: EpochSetup = {
      epoch: 2,
      validators,
      previousValidators: validators,
      start,
      lastHeight: 2,
    }
    return { certificate, setup, next: new MachineBench({ setup, self: undefined }) }
  }

  test('ends by an effect, starts at view 1 with the certificate as parent', () => {
    const world = relayAtEnd()
    const { certificate, setup, next } = finish(world)
    world.receive({ type: 'certificate', certificate })
    expect(world.effects.at(-1)).toEqual({ type: 'epochEnded', epoch: 1 })
    nextEpoch(world.relay, createMachine(configOf(setup)), [], world.nowMs)
    expect(world.relay.machine.view).toBe(1)
    world.effects.length = 0
    const block = next.propose(1)
    expect(block.justification.parent).toEqual([certificate])
    world.receive({ type: 'proposal', proposal: block })
    expect(world.effects.some(({ type }) => type === 'validateBlock')).toBe(true)
  })

  test('the first proposal of the next epoch ends ours by the certificate it carries', () => {
    const world = relayAtEnd()
    const { setup, next } = finish(world)
    world.effects.length = 0
    const block = next.propose(1)
    world.receive({ type: 'proposal', proposal: block })
    expect(world.effects.map(({ type }) => type)).toContain('commit')
    expect(world.effects.at(-1)).toEqual({ type: 'epochEnded', epoch: 1 })
    const effects = nextEpoch(world.relay, createMachine(configOf(setup)), [], world.nowMs)
    expect(effects.some(({ type }) => type === 'validateBlock')).toBe(true)
  })

  test('peers in older epochs get the certificate that ends theirs, at a bounded rate', () => {
    const world = relayAtEnd()
    const { certificate, setup } = finish(world)
    world.receive({ type: 'certificate', certificate })
    nextEpoch(world.relay, createMachine(configOf(setup)), [], world.nowMs)
    world.effects.length = 0
    const vote = world.bench.vote(2, nullify, 7)
    for (let i = 0; i < 5; i++) world.receive({ type: 'vote', vote }, 'late')
    const answers = world.effects.flatMap((effect) =>
      effect.type === 'sendTo' && effect.message.type === 'bundle' ? [effect.message.bundle] : [],
    )
    expect(answers.map(({ epoch }) => epoch)).toEqual([1, 2])
    expect(answers[0]?.certificates).toEqual([certificate])
  })

  /** A relay in epoch 2 whose first epoch ended in `view`, and what halts it. */
  function relayInSecond(view: number) {
    const world = relayAtEnd()
    const { certificate, setup, next } = finish(world, view)
    world.receive({ type: 'certificate', certificate })
    nextEpoch(world.relay, createMachine(configOf(setup)), [], world.nowMs)
    world.effects.length = 0
    const claim = (of: number, signers?: number[]) =>
      world.bench.certificate(finalize, of, new Uint8Array(32).fill(9), signers)
    const halts = () => world.effects.flatMap((each) => (each.type === 'halt' ? [each] : []))
    return { ...world, closing: certificate, setup, next, claim, halts }
  }

  test('two final chains in an epoch that is over stop the machine and name who made them', () => {
    const ended = 3
    for (const [view, guilty] of [
      // The same view, and one that our chain jumped over.
      [ended, [1, 2, 3]],
      [ended - 1, [1, 2, 3]],
      // Above the last block nothing can be final; how it came there is not known.
      [ended + 4, []],
    ] as const) {
      const { claim, receive, halts, effects, relay } = relayInSecond(ended)
      receive({ type: 'certificate', certificate: claim(view) })
      expect(halts()).toMatchObject([{ guilty, certificate: claim(view) }])
      expect(effects.filter(({ type }) => type === 'evidence')).toHaveLength(guilty.length)
      expect(validatorsOf(relay, 1)).toHaveLength(4)
      effects.length = 0
      receive({ type: 'certificate', certificate: claim(view) }, 'another')
      expect(effects).toEqual([])
    }
  })

  test('a proposal on another end of the epoch before shows the fork, also after a restart', () => {
    const { setup, next, claim, nowMs } = relayInSecond(1)
    const { relay } = startRelay(createMachine(configOf(setup)), [], nowMs)
    const proposal = next.propose(1)
    const justification = { ...proposal.justification, parent: [claim(1)] }
    const message = { type: 'proposal', proposal: { ...proposal, justification } } as const
    const effects = stepRelay(relay, { type: 'message', nowMs, from: 'peer', message })
    expect(effects.at(-1)).toMatchObject({ type: 'halt', guilty: [1, 2, 3] })
  })

  test('naming many older epochs buys a peer no more answers', () => {
    const { setup, bench, nowMs } = relayInSecond(1)
    const { relay } = startRelay(createMachine(configOf({ ...setup, epoch: 50 })), [], nowMs)
    const { statement, ...vote } = bench.vote(2, nullify, 7)
    const answers = Array.from({ length: 50 }, (_, epoch) => {
      const message = {
        type: 'vote',
        vote: { ...vote, statement: { ...statement, epoch } },
      } as const
      return stepRelay(relay, { type: 'message', nowMs, from: 'asker', message })
    })
    const bundles = answers
      .flat()
      .flatMap((effect) =>
        effect.type === 'sendTo' && effect.message.type === 'bundle' ? [effect.message.bundle] : [],
      )
    // Where we are, and how the only epoch that is still told of ended.
    expect(bundles).toHaveLength(2)
    expect(bundles[0]?.epoch).toBe(50)
  })

  test('so does a final block of this epoch that stands on it, however it is known', () => {
    for (const [view, restarted, guilty] of [
      [3, false, [1, 2, 3]],
      [3, true, [1, 2, 3]],
      // How our chain got over that view is not in memory any more.
      [1, true, []],
    ] as const) {
      const { setup, next, claim, nowMs, relay: running } = relayInSecond(3)
      const started = startRelay(createMachine(configOf(setup)), [], nowMs)
      const relay = restarted ? started.relay : running
      const justification = { parent: [claim(view)], skips: [] }
      const parentHash = claim(view).statement.hash
      const justHash = JustificationType.hashTreeRoot(justification)
      const { header, hash } = next.propose(1, undefined, { parentHash, justHash })
      const certificate = next.certificate(finalize, 1, hexToBytes(hash))
      const message = { type: 'certificate', certificate } as const
      stepRelay(relay, { type: 'message', nowMs, from: 'peer', message })
      const effects = stepRelay(relay, { type: 'blockFetched', nowMs, header, justification })
      expect(effects.at(-1)).toMatchObject({ type: 'halt', guilty })
    }
  })

  test('claims without a quorum stop nothing and cost each peer one check in a while', () => {
    const { bench, closing, claim, receive, halts, relay, nowMs } = relayInSecond(2)
    receive({ type: 'certificate', certificate: closing })
    const again = bench.certificate(finalize, 7, closing.statement.hash)
    receive({ type: 'certificate', certificate: again })
    receive({ type: 'certificate', certificate: claim(2, [1, 2]) })
    receive({ type: 'certificate', certificate: claim(2) })
    expect(halts()).toEqual([])
    const message = { type: 'certificate', certificate: claim(2) } as const
    const later = nowMs + TIMING.rebroadcastMs
    const effects = stepRelay(relay, { type: 'message', nowMs: later, from: 'peer', message })
    expect(effects.map(({ type }) => type)).toContain('halt')
  })

  test('far epochs are reported; what waits for the next one is bounded', () => {
    const world = relayAtEnd()
    const { bench, relay, effects } = world
    const ahead = (epoch: number, view: number) => {
      const { statement, ...vote } = bench.vote(1, nullify, view)
      return { type: 'vote', vote: { ...vote, statement: { ...statement, epoch } } } as const
    }
    world.receive(ahead(3, 1))
    expect(effects).toContainEqual({ type: 'epochAhead', peer: 'peer', epoch: 3 })
    for (let i = 1; i < 500; i++) world.receive(ahead(2, i), `peer ${i % 3}`)
    expect(relay.waiting).toHaveLength(3 * 64)
    // Who says little is not pushed out by those that say much.
    world.receive(ahead(2, 900), 'quiet')
    for (let i = 1; i < 500; i++) world.receive(ahead(2, i), `peer ${i % 5}`)
    expect(relay.waiting.filter(({ from }) => from === 'quiet')).toHaveLength(1)
    for (let i = 1; i < 500; i++) world.receive(ahead(2, i), `peer ${i}`)
    expect(relay.waiting).toHaveLength(256)
    expect(relay.waiting.every(({ message }) => epochOf(message) === 2)).toBe(true)
  })
})

describe('standstill (consensus 1.6)', () => {
  test('tells all that the view is given up, and again after a while', () => {
    const bench = new MachineBench()
    bench.skipTo(4)
    bench.take()
    bench.timer('skip')
    expect(votesCast(bench.take())).toEqual(['nullify 4'])
    bench.timer('standstill')
    expect(votesCast(bench.effects)).toEqual([])
    const bundles = ofType(bench.effects, 'broadcast').flatMap(({ message }) =>
      message.type === 'bundle' ? [message.bundle] : [],
    )
    expect(bundles).toHaveLength(1)
    expect(bundles[0]).toMatchObject({ view: 4, finalView: 0 })
    expect(bundles[0]?.certificates.map(({ statement }) => statement.view)).toEqual([1, 2, 3])
    expect(bundles[0]?.votes).toHaveLength(1)
    expect(bench.effects.at(-1)).toMatchObject({ type: 'setTimer', timer: 'standstill' })
  })

  test('a bundle catches a peer up; one that is behind gets ours, at a bounded rate', () => {
    const ahead = new MachineBench({ self: 1 })
    ahead.skipTo(6)
    const behind = new MachineBench()
    const bundleOf = (bench: MachineBench) => {
      bench.take()
      const [sent] = ofType(bench.timer('standstill'), 'broadcast').slice(-1)
      if (sent?.message.type !== 'bundle') throw new Error('a bundle was due')
      return sent.message
    }
    const question = bundleOf(behind)
    for (let i = 0; i < 4; i++) ahead.receive(question, 'late')
    const answers = ofType(ahead.take(), 'sendTo')
    expect(answers).toHaveLength(1)
    expect(answers[0]?.peer).toBe('late')
    behind.receive((answers[0] as (typeof answers)[number]).message)
    expect(behind.view).toBe(6)
  })

  test('is bounded: newest finality first, then the lowest views', () => {
    const bench = new MachineBench({
      self: undefined,
      weights: Array.from({ length: 100 }, () => 1),
    })
    const hash = new Uint8Array(32).fill(1)
    bench.certify(finalize, 3, hash)
    bench.skipTo(90)
    bench.take()
    const [sent] = ofType(bench.timer('standstill'), 'broadcast')
    if (sent?.message.type !== 'bundle') throw new Error('a bundle was due')
    const { certificates } = sent.message.bundle
    const bytes = certificates.reduce((sum, each) => sum + certificateBytes(each), 0)
    expect(bytes).toBeLessThan(BUNDLE_BYTES_MAX)
    expect(certificates.length).toBeGreaterThan(30)
    expect(certificates.length).toBeLessThan(80)
    const views = certificates.map(({ statement }) => statement.view)
    expect(views).toEqual(views.map((_, i) => i + 3))
  })
})

test('a justification commits to every certificate in it', () => {
  const bench = new MachineBench({ self: undefined })
  const [one, two] = [1, 2].map((view) => bench.certificate(nullify, view))
  const root = (skips: Justification['skips']) =>
    bytesToHex(JustificationType.hashTreeRoot({ parent: [], skips }))
  const roots = [[], [one], [two], [one, two], [two, one]].map((skips) =>
    root(skips as Justification['skips']),
  )
  expect(new Set(roots).size).toBe(5)
})
