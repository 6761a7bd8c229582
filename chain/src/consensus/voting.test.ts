import { describe, expect, test } from 'vitest'
import { hexToBytes } from '@noble/hashes/utils.js'
import { blockHash } from '../types/block.ts'
import { JustificationType, type Vote, VoteKind } from '../types/consensus-objects.ts'
import type { ConsensusEffect, LogRecord } from './machine-interface.ts'
import { GENESIS_MS, MachineBench, ofType, TIMING, votesCast } from './testing/machine-bench.ts'

const { notarize, nullify, finalize } = VoteKind

/** A bench standing in the first view that another validator leads. */
function follower(options = {}) {
  const bench = new MachineBench(options)
  const view = bench.viewLed(false)
  bench.skipTo(view)
  bench.take()
  return { bench, view, block: bench.propose(view) }
}

describe('what a validator may sign (consensus 1.5)', () => {
  test('notarizes a valid proposal of the current view, block first, then vote, then the world', () => {
    const { bench, view, block } = follower()
    bench.accept(block)
    expect(votesCast(bench.effects)).toEqual([`notarize ${view}`])
    const kinds = bench.effects.flatMap((effect) => {
      if (effect.type === 'persist') return [effect.record.type]
      return effect.type === 'broadcast' ? [effect.message.type] : []
    })
    expect(kinds.filter((kind) => kind !== 'certificate')).toEqual(['block', 'vote', 'vote'])
    expect(bench.effects.at(-1)).toMatchObject({ type: 'broadcast', message: { type: 'vote' } })
  })

  test('never notarizes twice: a second proposal brings evidence and ends the view', () => {
    const { bench, view, block } = follower()
    bench.accept(block)
    const other = bench.propose(view, undefined, { txRoot: new Uint8Array(32).fill(7) })
    bench.accept(other)
    expect(votesCast(bench.effects)).toEqual([`notarize ${view}`, `nullify ${view}`])
    expect(ofType(bench.effects, 'evidence')).toHaveLength(1)
  })

  test('skips at once a leader that equivocates before we voted', () => {
    const { bench, view, block } = follower()
    bench.receiveProposal(block)
    bench.receiveProposal(bench.propose(view, undefined, { txRoot: new Uint8Array(32).fill(7) }))
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
    expect(votesCast(bench.validated(block.hash))).toEqual([])
  })

  test('never notarizes after nullify', () => {
    const { bench, view, block } = follower()
    bench.timer('skip')
    bench.accept(block)
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
  })

  test('may nullify after notarize, and then never finalizes', () => {
    const { bench, view, block } = follower()
    bench.accept(block)
    bench.timer('skip')
    bench.certify(notarize, view, hexToBytes(block.hash))
    expect(votesCast(bench.effects)).toEqual([`notarize ${view}`, `nullify ${view}`])
    expect(bench.view).toBe(view + 1)
  })

  test('never nullifies after finalize, not even when the certificate is forgotten', () => {
    const { bench, view, block } = follower()
    bench.accept(block)
    bench.certify(notarize, view, hexToBytes(block.hash))
    expect(votesCast(bench.effects)).toEqual([`notarize ${view}`, `finalize ${view}`])
    const votes = bench.effects.flatMap((effect): LogRecord[] =>
      effect.type === 'persist' && effect.record.type === 'vote' ? [effect.record] : [],
    )
    const restarted = new MachineBench({ records: votes })
    expect(restarted.view).toBe(view)
    restarted.timer('skip')
    restarted.timer('standstill')
    expect(votesCast(restarted.effects)).toEqual([])
  })

  test('finalizes only what it notarized itself', () => {
    const { bench, view, block } = follower()
    bench.certify(notarize, view, hexToBytes(block.hash))
    expect(votesCast(bench.effects)).toEqual([])
    expect(bench.view).toBe(view + 1)
  })

  test('finalizes a view already left, unless it nullified it', () => {
    const { bench, view, block } = follower()
    bench.accept(block)
    bench.certify(nullify, view)
    expect(bench.view).toBe(view + 1)
    bench.take()
    bench.certify(notarize, view, hexToBytes(block.hash))
    expect(votesCast(bench.effects)).toEqual([`finalize ${view}`])
  })

  test('remembers its votes over a restart', () => {
    const { bench, view, block } = follower()
    bench.accept(block)
    const records = bench.effects.flatMap((effect) =>
      effect.type === 'persist' ? [effect.record] : [],
    )
    const restarted = new MachineBench({ records })
    expect(restarted.view).toBe(view)
    restarted.accept(restarted.propose(view, undefined, { txRoot: new Uint8Array(32).fill(7) }))
    expect(votesCast(restarted.effects)).toEqual([])
    const bundle = ofType(restarted.effects, 'broadcast').find(
      ({ message }) => message.type === 'bundle',
    )
    expect(bundle?.message).toMatchObject({ bundle: { votes: [{ statement: { view } }] } })
  })

  test('signs nothing at or below its lease, nothing as an observer', () => {
    const leased = new MachineBench({ signAbove: 1000 })
    const observer = new MachineBench({ self: undefined })
    for (const bench of [leased, observer]) {
      const view = bench.viewLed(false)
      bench.skipTo(view)
      bench.accept(bench.propose(view))
      bench.timer('skip')
      bench.timer('standstill')
      expect(votesCast(bench.effects)).toEqual([])
    }
  })
})

describe('when a validator gives a view up (consensus 1.6)', () => {
  test.each(['invalid', 'refused'] as const)('at once for a block found %s', (verdict) => {
    const { bench, view, block } = follower()
    bench.receiveProposal(block)
    bench.validated(block.hash, verdict)
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
  })

  test('when a blocking weight did, but not below it', () => {
    const { bench, view } = follower({ weights: [1, 2, 2, 2] })
    const [first, second] = [1, 2, 3].filter((index) => index !== bench.leader(view))
    bench.receiveVote(first as number, nullify, view)
    expect(votesCast(bench.effects)).toEqual([])
    bench.receiveVote(second as number, nullify, view)
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
  })

  test('when its leader did', () => {
    const { bench, view } = follower()
    bench.receiveVote(bench.leader(view), nullify, view)
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
  })

  test.each([
    ['height', { height: 7 }],
    ['time not above the parent', { timeMs: 1_000_000 }],
    ['time out of the window behind', { timeMs: 1_000_001 }],
    ['proposer', { proposer: 99 }],
    ['epoch', { epoch: 2 }],
    ['height above the epoch', { height: 101 }],
  ])('at once for a header with a wrong %s', (name, fields) => {
    const { bench, view } = follower()
    if (name.includes('window')) bench.nowMs += 60_000
    bench.accept(bench.propose(view, undefined, fields))
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
  })

  test('a proposal a little from the future waits for its time', () => {
    const { bench, view } = follower()
    const block = bench.propose(view, undefined, { timeMs: bench.nowMs + 2000 })
    bench.accept(block)
    expect(votesCast(bench.effects)).toEqual([])
    expect(ofType(bench.effects, 'setTimer').at(-1)).toMatchObject({
      timer: 'recheck',
      atMs: bench.nowMs + 1000,
    })
    bench.nowMs += 1000
    expect(votesCast(bench.timer('recheck'))).toEqual([`notarize ${view}`])
  })

  test('a proposal from farther ahead than the skip timer is given up at once', () => {
    const { bench, view } = follower()
    bench.accept(bench.propose(view, undefined, { timeMs: bench.nowMs + 60_000 }))
    expect(votesCast(bench.effects)).toEqual([`nullify ${view}`])
  })

  test('skip timers grow with views without finality, up to the cap', () => {
    const bench = new MachineBench({ self: undefined })
    bench.waitOut(30)
    const waits = ofType(bench.effects, 'setTimer')
      .filter(({ timer }) => timer === 'skip')
      .map(({ atMs }) => atMs)
      .map((atMs, index, all) => atMs - (all[index - 1] ?? GENESIS_MS + TIMING.blockIntervalMs))
    expect(waits.slice(0, 6)).toEqual([2000, 2000, 2000, 3000, 4500, 6750])
    expect(waits.at(-1)).toBe(60_000)
  })

  test('views that a quorum skips before the timer runs out do not make it grow', () => {
    const bench = new MachineBench({ self: undefined })
    bench.skipTo(9)
    expect(bench.machine.skipAtMs - bench.nowMs).toBe(2000)
    bench.waitOut(12)
    expect(bench.machine.skipAtMs - bench.nowMs).toBe(3000)
  })
})

describe('patience', () => {
  test('is shortened when finality arrives within a view that was given much time', () => {
    const { bench } = follower()
    const view = bench.viewLed(false, 12)
    bench.waitOut(view)
    const long = bench.machine.skipAtMs
    bench.certify(finalize, view - 1, new Uint8Array(32).fill(1))
    expect(bench.view).toBe(view)
    expect(long - bench.machine.skipAtMs).toBeGreaterThan(20_000)
    const timers = ofType(bench.effects, 'setTimer').slice(-3, -1)
    expect(timers.map(({ timer }) => timer)).toEqual(['skip', 'standstill'])
  })
})

describe('proposals that are not the leader’s', () => {
  test('of another validator, with a bad signature or with another justification: ignored', () => {
    const { bench, view, block } = follower()
    const stranger = (bench.leader(view) + 1) % 4
    const vote = bench.vote(stranger, notarize, view, blockHash(block.header))
    bench.receiveProposal({ ...block, leaderVote: vote })
    bench.receiveProposal({
      ...block,
      leaderVote: { ...block.leaderVote, signature: new Uint8Array(64) },
    })
    const skips = [bench.certificate(nullify, 1)]
    bench.receiveProposal({ ...block, justification: { parent: [], skips } })
    expect(bench.effects).toEqual([])
    bench.accept(block)
    expect(votesCast(bench.effects)).toEqual([`notarize ${view}`])
  })

  test('one proposal catches a node up over however many skips; without them it leaves nothing', () => {
    const bench = new MachineBench()
    const view = bench.viewLed(false, 200)
    const justification = { parent: [], skips: [] }
    const justHash = JustificationType.hashTreeRoot(justification)
    const bare = bench.propose(view, undefined, { parentView: view - 1, justHash })
    bench.receiveProposal({ ...bare, justification })
    expect([bench.view, bench.machine.rounds.has(view)]).toEqual([1, false])
    bench.receiveProposal(bench.propose(view))
    expect(bench.view).toBe(view)
  })

  test('certificates in a proposal catch a lagging node up', () => {
    const bench = new MachineBench()
    const low = bench.propose(1)
    const view = bench.viewLed(false, 10)
    const high = bench.propose(view, low)
    bench.receiveProposal(high)
    expect(bench.view).toBe(view)
    expect(ofType(bench.effects, 'fetchBlock')).toMatchObject([{ hash: low.hash }])
  })
})

describe('evidence and bounds', () => {
  const other = new Uint8Array(32).fill(9)
  const block = new Uint8Array(32).fill(5)
  test.each([
    ['E1', [notarize, block], [notarize, other]],
    ['E2', [nullify, undefined], [finalize, block]],
    ['E2 in the other order', [finalize, block], [nullify, undefined]],
    ['E3', [finalize, block], [finalize, other]],
    ['E4', [notarize, other], [finalize, block]],
    ['E4 in the other order', [finalize, block], [notarize, other]],
  ] as const)('%s is reported once', (_, first, second) => {
    const bench = new MachineBench()
    bench.receiveVote(2, first[0], 3, first[1])
    const effects = bench.receiveVote(2, second[0], 3, second[1])
    const evidence = ofType(
      [...effects, ...bench.receiveVote(2, notarize, 3, new Uint8Array(32).fill(1))],
      'evidence',
    )
    expect(evidence).toHaveLength(1)
    expect(evidence[0]?.first.validator).toBe(2)
  })

  test.each([
    ['notarize and nullify', [notarize, block], [nullify, undefined]],
    ['notarize and finalize of one block', [notarize, block], [finalize, block]],
  ] as const)('%s are no evidence', (_, first, second) => {
    const bench = new MachineBench()
    bench.receiveVote(2, first[0], 3, first[1])
    expect(ofType(bench.receiveVote(2, second[0], 3, second[1]), 'evidence')).toEqual([])
  })

  test('votes far ahead and repeated ones take no memory; certificates have no upper bound', () => {
    const bench = new MachineBench()
    bench.receiveVote(1, notarize, bench.view + 33, block)
    expect(bench.machine.rounds.has(bench.view + 33)).toBe(false)
    for (let i = 0; i < 20; i++) bench.receiveVote(1, notarize, 2, new Uint8Array(32).fill(i))
    expect(bench.machine.rounds.get(2)?.notarize).toHaveLength(2)
    bench.certify(nullify, 5000)
    expect(bench.view).toBe(5001)
  })

  test('of a leader’s proposals in a view two are kept; false heights go with their views', () => {
    const bench = new MachineBench()
    const view = bench.viewLed(false)
    bench.skipTo(view)
    const [good, ...others] = [0, 1, 2, 3, 4].map((i) => {
      const height = i === 1 ? 40 : 1
      return bench.propose(view, undefined, { height, txRoot: new Uint8Array(32).fill(i) })
    })
    for (const block of [good, ...others]) if (block) bench.accept(block)
    expect(bench.machine.rounds.get(view)?.proposals).toHaveLength(2)
    expect(bench.machine.tree.blocks.size).toBe(2)
    bench.certify(finalize, view, hexToBytes(good?.hash ?? ''))
    expect(ofType(bench.effects, 'commit')).toHaveLength(1)
    expect(bench.machine.tree.blocks.size).toBe(0)
  })

  test('a vote of our own key that we did not sign raises the alarm', () => {
    const bench = new MachineBench()
    expect(ofType(bench.receiveVote(0, nullify, 4), 'doppelganger')).toHaveLength(1)
    expect(ofType(bench.receiveVote(0, nullify, 5), 'doppelganger')).toHaveLength(0)
  })

  test('false certificates are refused', () => {
    const bench = new MachineBench()
    const good = bench.certificate(nullify, 1)
    const [first] = good.signatures as [Uint8Array]
    const wrong = [
      bench.certificate(nullify, 1, undefined, [1, 2]),
      { ...good, scheme: 2 },
      { ...good, signatures: good.signatures.toReversed() },
      { ...good, signatures: [first, first, first] },
      { ...good, signatures: good.signatures.slice(1) },
      { ...good, signers: Uint8Array.of(0b11110) },
      { ...good, signers: Uint8Array.of(0b1110, 0) },
      bench.certificate(nullify, 1, block),
      { ...good, statement: { ...good.statement, epoch: 2 } },
      bench.certificate(4 as VoteKind, 1),
    ]
    for (const certificate of wrong) bench.receive({ type: 'certificate', certificate })
    expect(bench.view).toBe(1)
    bench.receive({ type: 'certificate', certificate: good })
    expect(bench.view).toBe(2)
  })
})

describe('becoming final', () => {
  test('a block and its ancestors are committed in one effect, when all are here', () => {
    const bench = new MachineBench({ self: undefined })
    const first = bench.propose(1)
    const second = bench.propose(2, first)
    const third = bench.propose(3, second)
    bench.receiveProposal(third)
    bench.certify(finalize, 3, blockHash(third.header))
    const fetched = ({ header, justification, hash }: typeof first): ConsensusEffect[] => [
      ...bench.step({ type: 'blockFetched', nowMs: bench.nowMs, header, justification }),
      ...(hash === first.hash ? bench.validated(hash) : []),
    ]
    fetched(second)
    fetched(first)
    expect(ofType(bench.effects, 'commit')).toEqual([])
    bench.validated(second.hash)
    bench.validated(third.hash)
    const [commit] = ofType(bench.effects, 'commit')
    expect(commit?.blocks.map(({ hash }) => hash)).toEqual([first.hash, second.hash, third.hash])
    expect(commit?.certificate.statement.view).toBe(3)
    const asked = ofType(bench.effects, 'validateBlock').map(({ block: each }) => each.hash)
    expect(asked).toEqual([first.hash, second.hash, third.hash])
  })

  test('a block far above the head is reported for block sync', () => {
    const bench = new MachineBench({ self: undefined })
    const block = bench.propose(1, undefined, { height: 70 })
    bench.certify(finalize, 1, blockHash(block.header))
    const { header, justification } = block
    bench.step({ type: 'blockFetched', nowMs: bench.nowMs, header, justification })
    expect(ofType(bench.effects, 'behind')).toMatchObject([{ height: 70 }])
    const certificate = bench.certificate(finalize, 1, blockHash(header))
    const head = { hash: block.hash, header, certificate }
    bench.step({ type: 'headMoved', nowMs: bench.nowMs, head })
    expect(bench.machine.tree.head.hash).toBe(block.hash)
    expect(bench.machine.uncommitted).toBeUndefined()
  })

  test('two final blocks in a view stop the machine and name who signed both', () => {
    const bench = new MachineBench()
    bench.certify(finalize, 2, new Uint8Array(32).fill(1))
    const effects = bench.certify(finalize, 2, new Uint8Array(32).fill(2))
    expect(ofType(effects, 'halt')).toHaveLength(1)
    const guilty = ofType(effects, 'evidence').map(({ first }: { first: Vote }) => first.validator)
    expect(guilty).toEqual([1, 2, 3])
    expect(bench.timer('skip')).toEqual([])
  })
})
