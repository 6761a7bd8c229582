import { createHash } from 'node:crypto'
import { bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import type {
  ConsensusMessage,
  ConsensusTiming,
  EpochValidator,
  JustifiedBlock,
} from '../../chain/src/consensus/machine-interface.ts'
import {
  type Certificate,
  type Header,
  type Justification,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { hashHeader, hashJustification, isSignedBy } from './cheap-crypto.ts'
import { type SetOf, Violation } from './violation.ts'

/** Where and when a validator votes; its own words, not the machine's. */
export interface VotingMoment {
  /** Last block of the epoch before, at this node. */
  readonly startHash: Hex
  /** The node's clock. */
  readonly nowMs: number
  /** Newest view of the vote's epoch that is committed on the node's disk; 0 for none. */
  readonly committedView: number
}

/** Where a proposal stands: a view, and the certified view and block below it. */
interface Place {
  readonly epoch: number
  readonly view: number
  readonly parentView: number
  readonly parentHash: Hex
  readonly startHash: Hex
}

/**
 * Whether an honest validator may vote for a block, judged by what was said on the network and by
 * the protocol's text (consensus 1.4-1.6). Nothing of the code under test is called: a rule that
 * is gone from it must not be gone from here.
 */
export class VoteJudge {
  readonly #setOf: SetOf
  readonly #timing: ConsensusTiming
  readonly #epochBlocks: number
  readonly #headers = new Map<Hex, Header>()
  readonly #justifications = new Map<Hex, Justification>()
  /** Who signed which block for which view; and with what reasons the epoch's last one again. */
  readonly #said = new Set<string>()
  readonly #reproposals = new Map<string, Justification[]>()
  readonly #taken = new WeakSet<object>()
  readonly #quorums = new WeakMap<Certificate, boolean>()
  readonly #verdicts = new Map<string, string | undefined>()
  readonly #schedules = new Map<string, readonly number[]>()

  constructor(setOfEpoch: SetOf, timing: ConsensusTiming, epochBlocks: number, genesis: Header) {
    this.#setOf = setOfEpoch
    this.#timing = timing
    this.#epochBlocks = epochBlocks
    this.#headers.set(bytesToHex(hashHeader(genesis)), genesis)
  }

  /** Whatever leaves a node, honest or not. */
  heard(message: ConsensusMessage): void {
    if (message.type !== 'proposal' || this.#taken.has(message.proposal)) return
    const { header, justification, leaderVote } = message.proposal
    this.#taken.add(message.proposal)
    const hash = this.#keep(header, justification)
    const { statement, validator, signature } = leaderVote
    const member = this.#setOf(statement.epoch)[validator]
    const names = statement.kind === VoteKind.notarize && bytesToHex(statement.hash) === hash
    if (!names || !member || !isSignedBy(member.publicKey, statement, signature)) return
    this.#said.add(`${statement.epoch}/${statement.view}/${validator}/${hash}`)
    if (header.view < statement.view)
      this.reproposed(statement.epoch, statement.view, justification)
  }

  /** A block that a node holds. */
  held({ header, justification }: JustifiedBlock): void {
    if (!this.#taken.has(header)) this.#keep(header, justification)
    this.#taken.add(header)
  }

  reproposed(epoch: number, view: number, justification: Justification): void {
    const reasons = this.#reproposals.get(`${epoch}/${view}`) ?? []
    reasons.push(justification)
    this.#reproposals.set(`${epoch}/${view}`, reasons)
  }

  /** Throws unless the notarize vote keeps every rule. */
  judge(vote: Vote, moment: VotingMoment): void {
    const { epoch, view, hash } = vote.statement
    const name = bytesToHex(hash)
    const header = this.#headers.get(name)
    if (!header) throw new Violation(`a vote of ${epoch}/${view} for a block that nobody showed`)
    const key = `${view}/${vote.validator}/${name}/${moment.startHash}`
    let wrong = this.#verdicts.get(key)
    if (wrong === undefined && !this.#verdicts.has(key)) {
      wrong = this.#wrongWith(vote, name, header, moment.startHash)
      this.#verdicts.set(key, wrong)
    }
    // Its own block's time is its clock, or just above its parent's; another one is judged now.
    const isOthers = header.view === view && header.proposer !== vote.validator
    wrong ??= isOthers ? this.#wrongTime(header, view, moment) : undefined
    if (wrong !== undefined) throw new Violation(`a vote of ${epoch}/${view} for a block ${wrong}`)
  }

  /** A block that anybody showed. */
  headerOf(hash: Hex): Header | undefined {
    return this.#headers.get(hash)
  }

  leaderOf(epoch: number, startHash: Hex, view: number): number {
    const leaders = this.#leaders(epoch, startHash)
    return leaders[view % leaders.length] as number
  }

  /** Exactly a quorum or more of the epoch's set signed it, each once and truly. */
  isQuorum(certificate: Certificate): boolean {
    let known = this.#quorums.get(certificate)
    if (known === undefined) {
      known = hasQuorum(certificate, this.#setOf(certificate.statement.epoch))
      this.#quorums.set(certificate, known)
    }
    return known
  }

  /** Of a block that somebody proposed or kept. */
  heightOf(hash: Hex): number | undefined {
    return this.#headers.get(hash)?.height
  }

  #keep(header: Header, justification: Justification): Hex {
    const hash = bytesToHex(hashHeader(header))
    this.#headers.set(hash, header)
    this.#justifications.set(bytesToHex(hashJustification(justification)), justification)
    return hash
  }

  #wrongWith(vote: Vote, name: Hex, header: Header, startHash: Hex): string | undefined {
    const { epoch, view } = vote.statement
    const leaders = this.#leaders(epoch, startHash)
    const leaderOf = (each: number) => leaders[each % leaders.length]
    const last = epoch * this.#epochBlocks
    const isAgain = header.view < view
    const leader = leaderOf(view)
    if (leader !== vote.validator && !this.#said.has(`${epoch}/${view}/${leader}/${name}`)) {
      return 'that its leader did not propose'
    }
    if (header.epoch !== epoch || header.view > view) return 'of another view'
    if (header.proposer !== leaderOf(header.view)) return 'in the name of another proposer'
    if (header.height > last || (isAgain && header.height !== last)) return 'of a false height'
    const parentHash = bytesToHex(header.parentHash)
    const parent = this.#headers.get(parentHash)
    if (!parent || header.height !== parent.height + 1) return 'of a height not above its parent'
    if (header.timeMs <= parent.timeMs) return 'not later than its parent'
    if (isAgain) return this.#wrongAgain(header, epoch, view, name)
    const reason = this.#justifications.get(bytesToHex(header.justHash))
    const { parentView } = header
    const place = { epoch, view, parentView, parentHash, startHash }
    return reason && this.#isJustified(reason, place) ? undefined : 'without a valid justification'
  }

  /** The epoch's last block, on a certificate of itself. */
  #wrongAgain(header: Header, epoch: number, view: number, name: Hex): string | undefined {
    const reasons = this.#reproposals.get(`${epoch}/${view}`) ?? []
    const holds = reasons.some((reason) => {
      const parentView = reason.parent[0]?.statement.view ?? 0
      if (parentView < header.view) return false
      return this.#isJustified(reason, { epoch, view, parentView, parentHash: name, startHash: '' })
    })
    return holds ? undefined : 'again without a certificate of its own'
  }

  #isJustified({ parent, skips }: Justification, place: Place): boolean {
    const { epoch, view, parentView } = place
    if (skips.length !== view - parentView - 1 || !this.#isParentGood(parent[0], place))
      return false
    return skips.every((skip, i) => {
      const { statement } = skip
      const fits = statement.kind === VoteKind.nullify && statement.epoch === epoch
      return fits && statement.view === parentView + 1 + i && this.isQuorum(skip)
    })
  }

  #isParentGood(certificate: Certificate | undefined, place: Place): boolean {
    const { epoch, parentView, parentHash, startHash } = place
    const isStart = parentView === 0
    if (isStart && parentHash !== startHash) return false
    if (isStart && epoch === 1) return true
    if (!certificate) return false
    const { kind, epoch: of, view, hash } = certificate.statement
    if (bytesToHex(hash) !== parentHash || kind === VoteKind.nullify) return false
    if (isStart && (kind !== VoteKind.finalize || of !== epoch - 1)) return false
    if (!isStart && (of !== epoch || view !== parentView)) return false
    return this.isQuorum(certificate)
  }

  /** The time rule; its window behind grows with the views that the node knows not to be final. */
  #wrongTime(header: Header, view: number, moment: VotingMoment): string | undefined {
    const timing = this.#timing
    const { nowMs, committedView } = moment
    if (header.timeMs > nowMs + timing.clockAheadMs) return 'from the future'
    const waited = Math.max(0, view - committedView - 3)
    const growth = (timing.skipTimeoutGrowthPercent / 100) ** waited * 1.001
    const most = timing.skipTimeoutCapMs / timing.skipTimeoutMs
    const behindMs = timing.clockBehindMs * Math.min(growth, most)
    return header.timeMs < nowMs - behindMs ? 'from the past' : undefined
  }

  /** The leaders of an epoch as its definition says (consensus 1.4). */
  #leaders(epoch: number, startHash: Hex): readonly number[] {
    const key = `${epoch}/${startHash}`
    let list = this.#schedules.get(key)
    if (!list) {
      list = shuffled(inProportion(this.#setOf(epoch)), startHash, epoch)
      this.#schedules.set(key, list)
    }
    return list
  }
}

function hasQuorum(certificate: Certificate, set: readonly EpochValidator[]): boolean {
  const { statement, signers, signatures } = certificate
  const isNullify = statement.kind === VoteKind.nullify
  if (isNullify && statement.hash.some((byte) => byte !== 0)) return false
  const bits = [...signers].flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >> i) & 1))
  const places = bits.flatMap((bit, place) => (bit === 1 ? [place] : []))
  if (signers.length !== Math.ceil(set.length / 8)) return false
  if (places.length !== signatures.length) return false
  let weight = 0
  for (const [i, place] of places.entries()) {
    const member = set[place]
    const signature = signatures[i]
    if (!member || !signature || !isSignedBy(member.publicKey, statement, signature)) return false
    weight += member.weight
  }
  return 3 * weight > 2 * set.reduce((sum, each) => sum + each.weight, 0)
}

/** Simulated weights are small: the list holds each validator exactly in proportion. */
function inProportion(set: readonly EpochValidator[]): number[] {
  let divisor = Math.min(...set.map(({ weight }) => weight))
  while (set.some(({ weight }) => weight % divisor !== 0)) divisor -= 1
  return set.flatMap(({ weight }, index) => Array<number>(weight / divisor).fill(index))
}

function shuffled(list: number[], startHash: Hex, epoch: number): readonly number[] {
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(BigInt(value))
    return bytes
  }
  const sha256 = (...parts: (Uint8Array | string)[]) => {
    const hash = createHash('sha256')
    for (const part of parts) hash.update(part)
    return hash.digest()
  }
  const seed = sha256('ioex/seed', Buffer.from(startHash, 'hex'), u64(epoch))
  for (let i = list.length - 1; i > 0; i--) {
    const pick = Number(sha256(seed, u64(i)).readBigUInt64LE(0) % BigInt(i + 1))
    const one = list[i] as number
    list[i] = list[pick] as number
    list[pick] = one
  }
  return list
}
