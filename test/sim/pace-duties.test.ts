import { describe, expect, test } from 'vitest'
import { bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import type { RelayEffect } from '../../chain/src/consensus/epoch-relay.ts'
import type { LogRecord, Proposal } from '../../chain/src/consensus/machine-interface.ts'
import {
  type Certificate,
  type Header,
  type Statement,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { ZERO_HASH } from '../../chain/src/types/primitives.ts'
import { hashHeader, hashJustification, signWith, simulatedKey } from './cheap-crypto.ts'
import { PaceDuties, type PacePlace, type PaceSubject } from './pace-duties.ts'
import { completeHeader } from './simulated-blocks.ts'

const INTERVAL = 1_000
const AHEAD = 1_000
const T0 = 2_000
const TIMING = {
  blockIntervalMs: INTERVAL,
  skipTimeoutMs: T0,
  skipTimeoutGrowthPercent: 150,
  skipTimeoutCapMs: 60_000,
  rebroadcastMs: 1_000,
  clockAheadMs: AHEAD,
  clockBehindMs: 10_000,
}
const START_MS = 1_000_000
const REASONS = { parent: [], skips: [] }

/** Four validators; the leader of view v is v mod 4. */
const leaderOf = (view: number) => view % 4

function headerOf(fields: Partial<Header>): Header {
  const plain = {
    epoch: 1,
    view: 1,
    height: 1,
    timeMs: START_MS,
    parentHash: ZERO_HASH,
    parentView: 0,
    justHash: hashJustification(REASONS),
    proposer: leaderOf(fields.view ?? 1),
  }
  return { ...completeHeader(plain, ZERO_HASH), ...fields }
}

const nameOf = (header: Header) => bytesToHex(hashHeader(header))
const START = headerOf({ epoch: 0, view: 0, height: 0, timeMs: START_MS - 60_000 })

/** One machine's pace, with time and view in the hands of the test. */
class Pace {
  readonly duties: PaceDuties
  readonly blocks = new Map<Hex, Header>([[nameOf(START), START]])
  nowMs = START_MS
  view = 1
  halted = false
  readonly #lost = new Set<Hex>()

  constructor(place: Partial<PacePlace> = {}, log: readonly LogRecord[] = []) {
    const whole: PacePlace = {
      epoch: 1,
      timing: TIMING,
      keys: [0, 1, 2, 3].map(simulatedKey),
      self: 0,
      signAbove: 0,
      start: { hash: nameOf(START), header: START },
      lastHeight: 40,
      final: undefined,
      leaderOf,
      headerOf: (hash) => this.blocks.get(hash),
      ...place,
    }
    this.duties = new PaceDuties(whole, log)
  }

  get #machine(): PaceSubject {
    const { view, halted } = this
    const has = (hash: Hex) => this.blocks.has(hash) && !this.#lost.has(hash)
    return {
      view,
      halted,
      finished: false,
      tree: { head: { hash: nameOf(START) }, blocks: { has } },
    }
  }

  begin(view = 1): this {
    this.view = view
    this.duties.start([timer(view, this.nowMs)], this.nowMs, this.#machine)
    return this
  }

  effects(...effects: RelayEffect[]): void {
    const nowMs = this.nowMs
    this.duties.check({ type: 'timer', nowMs, timer: 'fetch', view: 0 }, effects, this.#machine)
  }

  hear(proposal: Proposal, ...effects: RelayEffect[]): void {
    const message = { type: 'proposal', proposal } as const
    const event = { type: 'message', nowMs: this.nowMs, from: 'peer', message } as const
    this.duties.check(event, effects, this.#machine)
  }

  /** Leaves the view with this record and sets the next one's timer so late. */
  next(record: LogRecord, patienceMs: number, afterMs = 10): void {
    this.nowMs += afterMs
    this.view += 1
    this.effects({ type: 'persist', record }, timer(this.view, this.nowMs + patienceMs))
  }

  /** The node's own block at the view before, known and written down. */
  keep(fields: Partial<Header>): Header {
    const header = headerOf(fields)
    this.blocks.set(nameOf(header), header)
    const block = { hash: nameOf(header), header, justification: REASONS }
    this.effects({ type: 'persist', record: { type: 'block', block } })
    return header
  }

  lose(header: Header): void {
    this.#lost.add(nameOf(header))
  }

  timeOver(): void {
    const { nowMs, view } = this
    const event = { type: 'timer', nowMs, timer: 'skip', view } as const
    this.duties.check(
      event,
      [{ type: 'persist', record: vote(VoteKind.nullify, view) }],
      this.#machine,
    )
  }
}

function timer(view: number, atMs: number): RelayEffect {
  return { type: 'setTimer', timer: 'skip', view, atMs }
}

function certificate(
  kind: VoteKind,
  view: number,
  hash: Uint8Array = ZERO_HASH,
  signers = 3,
): Certificate {
  const statement: Statement = { kind, epoch: 1, view, hash }
  const signatures = Array.from({ length: signers }, () => new Uint8Array(64))
  return { scheme: 1, statement, signers: new Uint8Array(Math.ceil(signers / 8)), signatures }
}

function certified(kind: VoteKind, view: number, hash?: Uint8Array): LogRecord {
  return { type: 'certificate', certificate: certificate(kind, view, hash) }
}

const skipped = (view: number) => certified(VoteKind.nullify, view)

function vote(kind: VoteKind, view: number): LogRecord {
  const statement = { kind, epoch: 1, view, hash: ZERO_HASH }
  return { type: 'vote', vote: { statement, validator: 0, signature: new Uint8Array(64) } }
}

/** As the leader of the view signs it, or somebody else. */
function proposalOf(header: Header, view = header.view, signer = leaderOf(view)): Proposal {
  const statement = { kind: VoteKind.notarize, epoch: 1, view, hash: hashHeader(header) }
  const signature = signWith(simulatedKey(signer), statement)
  const leaderVote = { statement, validator: signer, signature }
  return { header, justification: REASONS, leaderVote }
}

describe('how long a view may last', () => {
  test('the first views last for T0 from the moment in which their leader may propose', () => {
    const pace = new Pace().begin()
    pace.next(skipped(1), T0)
    // All but rounding: the start is long ago, so that the leader waits for nothing.
    expect(() => pace.next(skipped(2), T0 + 10)).toThrow('view 3 lasts')
  })

  test('a view must begin with a timer', () => {
    const pace = new Pace().begin()
    pace.view = 2
    expect(() => pace.effects()).toThrow('view 2 begins and has no end')
  })

  test('each view that was waited out makes the next ones longer', () => {
    const pace = new Pace().begin()
    for (let view = 1; view <= 3; view++) {
      pace.timeOver()
      pace.next(skipped(view), T0, 5_000)
    }
    pace.timeOver()
    pace.next(skipped(4), T0 * 1.5 ** 2, 5_000)
    pace.timeOver()
    expect(() => pace.next(skipped(5), T0 * 1.5 ** 3 + 20, 8_000)).toThrow('view 6 lasts')
  })

  test('timeouts may be rounded up to whole milliseconds each time they grow', () => {
    for (const skipTimeoutMs of [7, 101, 250, 333]) {
      const pace = new Pace({ timing: { ...TIMING, skipTimeoutMs } }).begin()
      let patience = skipTimeoutMs
      for (let view = 1; view <= 14; view++) {
        if (view > 3) patience = Math.ceil(patience * 1.5)
        pace.timeOver()
        pace.next(skipped(view), Math.min(patience, 60_000), 70_000)
      }
    }
  })

  test('a timer that ends early by a fast clock has ended', () => {
    const pace = new Pace().begin()
    pace.timeOver()
    for (let view = 1; view <= 4; view++) {
      pace.next(skipped(view), T0)
      pace.timeOver()
    }
    pace.next(skipped(5), T0 * 1.5 ** 3)
  })

  test('views skipped before their time was over count for nothing', () => {
    const pace = new Pace().begin()
    for (let view = 1; view <= 5; view++) pace.next(skipped(view), T0)
    expect(() => pace.next(skipped(6), T0 * 1.5)).toThrow('view 7 lasts')
  })

  test('views that were jumped over count', () => {
    const pace = new Pace().begin()
    pace.view = 7
    pace.nowMs += 10
    const parent = { type: 'persist', record: certified(VoteKind.notarize, 6) } as const
    pace.effects(parent, timer(7, pace.nowMs + T0 * 1.5 ** 4))
  })

  test('no timeout is longer than the cap', () => {
    const pace = new Pace().begin()
    for (let view = 1; view <= 20; view++) {
      pace.timeOver()
      pace.next(skipped(view), T0, 70_000)
    }
    pace.timeOver()
    expect(() => pace.next(skipped(21), 60_010)).toThrow('view 22 lasts')
  })

  test('finality of an earlier view sets a shorter timer', () => {
    const waits = () => {
      const pace = new Pace().begin()
      for (let view = 1; view <= 5; view++) {
        pace.timeOver()
        pace.next(skipped(view), T0 * 1.5 ** Math.max(0, view - 2), 20_000)
      }
      return pace
    }
    const final = { type: 'persist', record: certified(VoteKind.finalize, 4) } as const
    const kept = waits()
    expect(() => kept.effects(final)).toThrow('view 6 lasts')
    const shortened = waits()
    shortened.effects(final, timer(6, shortened.nowMs + T0))
  })

  test('the wait for the block interval is added, up to what a wrong clock may add', () => {
    for (const [aheadMs, waitMs] of [
      [-5_000, 0],
      [0, INTERVAL],
      [600, INTERVAL + 600],
      [50_000, INTERVAL + AHEAD],
    ] as const) {
      const begun = () => {
        const pace = new Pace().begin()
        const header = pace.keep({ timeMs: START_MS + 10 + aheadMs })
        return { pace, record: certified(VoteKind.notarize, 1, hashHeader(header)) }
      }
      const good = begun()
      good.pace.next(good.record, waitMs + T0)
      const late = begun()
      expect(() => late.pace.next(late.record, waitMs + T0 + 10)).toThrow('view 2 lasts')
    }
  })

  test('who need not hold the parent may wait for the longest', () => {
    const pace = new Pace().begin()
    const header = pace.keep({ timeMs: START_MS - 5_000 })
    pace.lose(header)
    pace.next(certified(VoteKind.notarize, 1, hashHeader(header)), INTERVAL + AHEAD + T0)
  })

  test('views of the log count after a restart, and the leader has its longest wait', () => {
    const log = [1, 2, 3, 4].map(skipped)
    const pace = new Pace({}, log)
    pace.view = 5
    const patience = INTERVAL + AHEAD + T0 * 1.5 ** 2
    pace.duties.start([timer(5, pace.nowMs + patience)], pace.nowMs, {
      ...subject(5),
    })
    expect(() => pace.effects(timer(5, pace.nowMs + patience + 20))).toThrow('view 5 lasts')
  })

  test('a view is held for longer only when the room for skips runs out', () => {
    const skipsOf = (count: number) =>
      Array.from({ length: count }, (_, i): LogRecord => {
        return {
          type: 'certificate',
          certificate: certificate(VoteKind.nullify, i + 1, ZERO_HASH, 100),
        }
      })
    const few = new Pace({}, skipsOf(60)).begin(61)
    expect(() => few.next(skipped(61), 70_000)).toThrow('view 62 lasts')
    const many = new Pace({}, skipsOf(120)).begin(121)
    many.next(skipped(121), 60_000 * 2)
    expect(() => many.next(skipped(122), 60_000 * 2 ** 12)).toThrow('view 123 lasts')
  })
})

describe('when a leader may propose', () => {
  const build = (parent: Header, view: number): RelayEffect => {
    const parentHash = hashHeader(parent)
    const { version: _, ...fields } = { ...headerOf({ view }), parentHash }
    return { type: 'buildBlock', fields, justification: REASONS }
  }

  test('a block interval after the time of the parent', () => {
    const pace = new Pace().begin()
    const parent = pace.keep({ timeMs: START_MS + 100 })
    pace.next(certified(VoteKind.notarize, 1, hashHeader(parent)), T0)
    pace.nowMs = START_MS + 100 + INTERVAL - 1
    expect(() => pace.effects(build(parent, 2))).toThrow('proposes 1 ms too early')
    pace.nowMs += 1
    pace.effects(build(parent, 2))
  })

  test('or when it has waited for as long as clocks may differ', () => {
    const pace = new Pace().begin()
    const parent = pace.keep({ timeMs: START_MS + 90_000 })
    pace.next(certified(VoteKind.notarize, 1, hashHeader(parent)), T0)
    pace.nowMs += INTERVAL + AHEAD - 1
    expect(() => pace.effects(build(parent, 2))).toThrow('proposes 1 ms too early')
    pace.nowMs += 1
    pace.effects(build(parent, 2))
  })

  test('a block that is proposed again has its own time', () => {
    const pace = new Pace({ lastHeight: 1 }).begin()
    const last = pace.keep({ timeMs: START_MS })
    pace.next(certified(VoteKind.notarize, 1, hashHeader(last)), T0)
    const again = { type: 'proposal', proposal: proposalOf(last, 2) } as const
    expect(() => pace.effects({ type: 'broadcast', message: again })).toThrow('too early')
    pace.nowMs = START_MS + INTERVAL
    pace.effects({ type: 'broadcast', message: again })
  })
})

describe('a malformed header of the leader', () => {
  const OFFENCE = 'goes on after a malformed header'
  const nullify = (view: number): RelayEffect => ({
    type: 'persist',
    record: vote(VoteKind.nullify, view),
  })

  test.each([
    ['epoch', { epoch: 2 }],
    ['proposer', { proposer: 2 }],
    ['height of the epoch before', { height: 0 }],
    ['height above the last', { height: 41 }],
    ['later view', { view: 2 }],
    ['no view', { view: 0 }],
  ])('wrong in its %s is answered with a nullify vote', (_, fields) => {
    const lie = proposalOf(headerOf(fields), 1)
    expect(() => new Pace().begin().hear(lie)).toThrow(OFFENCE)
    new Pace().begin().hear(lie, nullify(1))
  })

  test('also one that proposes again what is not the last block', () => {
    const pace = new Pace().begin(5)
    expect(() => pace.hear(proposalOf(headerOf({ view: 3 }), 5))).toThrow(OFFENCE)
    pace.begin(6).hear(proposalOf(headerOf({ view: 3, height: 40 }), 6))
  })

  test('is answered as soon as its view begins', () => {
    const pace = new Pace().begin()
    pace.hear(proposalOf(headerOf({ view: 2, epoch: 9 })))
    expect(() => pace.next(skipped(1), T0)).toThrow(OFFENCE)
  })

  test('demands nothing unless its leader truly signed it', () => {
    const pace = new Pace().begin()
    const header = headerOf({ epoch: 9 })
    const lie = proposalOf(header)
    pace.hear(proposalOf(headerOf({})))
    pace.hear(proposalOf(header, 1, 2))
    pace.hear({ ...lie, leaderVote: { ...lie.leaderVote, validator: 2 } })
    pace.hear({ ...lie, leaderVote: { ...lie.leaderVote, signature: new Uint8Array(64) } })
    pace.hear({ ...lie, header: headerOf({ epoch: 8 }) })
    pace.hear({ ...lie, justification: { parent: [certificate(1, 1)], skips: [] } })
    pace.hear(proposalOf(headerOf({ view: 40, epoch: 9 })))
    expect(() => pace.hear(lie)).toThrow(OFFENCE)
  })

  test('demands nothing of who voted, may not sign, only follows or has stopped', () => {
    const lie = proposalOf(headerOf({ epoch: 9 }))
    new Pace({}, [vote(VoteKind.notarize, 1)]).begin().hear(lie)
    new Pace({}, [vote(VoteKind.nullify, 1)]).begin().hear(lie)
    new Pace({ signAbove: 1 }).begin().hear(lie)
    new Pace({ self: undefined }).begin().hear(lie)
    const stopped = new Pace().begin()
    stopped.halted = true
    stopped.hear(lie)
    // A vote of another epoch is no vote of this one.
    const [old] = [vote(VoteKind.notarize, 1)]
    if (old?.type !== 'vote') throw new Error('a vote')
    const { statement } = old.vote
    const before = { ...old, vote: { ...old.vote, statement: { ...statement, epoch: 7 } } }
    expect(() => new Pace({}, [before]).begin().hear(lie)).toThrow(OFFENCE)
  })
})

function subject(view: number): PaceSubject {
  const tree = { head: { hash: '' }, blocks: { has: () => false } }
  return { view, finished: false, halted: false, tree }
}
