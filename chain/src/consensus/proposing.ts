import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { type Header, type Justification, type Vote, VoteKind } from '../types/consensus-objects.ts'
import { addBlock, headerOf, readiness, want } from './block-tree.ts'
import { isJustified, type Slot } from './justification.ts'
import {
  emit,
  heldCertificate,
  leaderOf,
  type LeaderDuty,
  type MachineState,
  roundAt,
  VIEWS_AHEAD_MAX,
} from './machine-state.ts'
import type { BlockVerdict, ConsensusFields, Proposal } from './machine-interface.ts'
import { chooseParent, type ParentChoice } from './parent-choice.ts'
import { notarizedBy, type Round, type RoundProposal } from './round.ts'
import { judgeTime, leaderWaitMs } from './timing.ts'
import {
  countVote,
  logBlock,
  mayNotarize,
  notarize,
  nullify,
  onCertificate,
  onVote,
  signVote,
} from './voting.ts'

/**
 * Rule proposal (consensus 1.6): signature, leader, justHash, certificates; the certificates
 * count on their own, which catches a lagging node up. Content is judged when the view comes.
 */
export function onProposal(state: MachineState, proposal: Proposal): void {
  const { crypto, setup } = state.config
  const { header, justification, leaderVote } = proposal
  const { view } = leaderVote.statement
  const hash = bytesToHex(leaderVote.statement.hash)
  const earlier = state.rounds.get(view)?.proposals ?? []
  // Two prove that the leader equivocates; a third would only be memory for as many as it signs.
  if (earlier.length > 1 || earlier.some((known) => known.hash === hash)) return
  if (!isSignedByLeader(state, proposal)) return
  const reproposed = header.view < view
  // The header commits to its justification: another one came from somebody on the way.
  if (!reproposed && !isOwnJustification(state, header, justification)) return
  if (!isWellFormedHeader(state, header, view)) return blameLeader(state, view)
  const slot = slotOf({ header, hash }, view, justification)
  const known = (statement: Parameters<typeof heldCertificate>[1]) =>
    heldCertificate(state, statement)
  if (!slot || !isJustified(justification, slot, { setup, crypto, known })) {
    // Nothing commits to the justification of a re-proposal, so it may not be the leader's fault.
    if (!reproposed) blameLeader(state, view)
    return
  }
  takeProposal(state, { ...proposal, hash }, reproposed)
}

/**
 * The leader of a view still open signed this header. Cheapest checks first. However far ahead the
 * view is: only certificates of all views between make more of it than this one check.
 */
export function isSignedByLeader(state: MachineState, proposal: Proposal): boolean {
  const { crypto, setup } = state.config
  const { header, leaderVote } = proposal
  const { statement, validator, signature } = leaderVote
  const { kind, epoch, view, hash } = statement
  if (kind !== VoteKind.notarize || epoch !== setup.epoch || view <= state.finalView) return false
  const member = setup.validators[validator]
  if (!member || validator !== leaderOf(state, view)) return false
  if (!bytesEqual(crypto.hashHeader(header), hash)) return false
  return crypto.verify(statement, member.publicKey, signature)
}

/** Remembered only near the current view: a leader may sign nonsense for every view it has. */
function blameLeader(state: MachineState, view: number): void {
  if (view <= state.view + VIEWS_AHEAD_MAX) roundAt(state, view).leaderFaulty = true
}

function takeProposal(state: MachineState, proposal: RoundProposal, reproposed: boolean): void {
  const { header, justification, leaderVote, hash } = proposal
  const { view } = leaderVote.statement
  for (const certificate of [...justification.parent, ...justification.skips]) {
    if (certificate.statement.epoch === header.epoch) onCertificate(state, certificate)
  }
  if (view <= state.finalView) return
  if (reproposed) {
    state.reproposals.set(view, justification)
    want(state.tree, hash, view, state.effects)
  } else {
    addBlock(state.tree, hash, header, justification)
  }
  roundAt(state, view).proposals.push(proposal)
  onVote(state, leaderVote)
}

function isOwnJustification(
  state: MachineState,
  header: Header,
  justification: Justification,
): boolean {
  return bytesEqual(state.config.crypto.hashJustification(justification), header.justHash)
}

/** What a header can be wrong about on its own. Only the epoch's last block is proposed again. */
function isWellFormedHeader(state: MachineState, header: Header, view: number): boolean {
  const { setup } = state.config
  if (header.epoch !== setup.epoch || header.proposer !== leaderOf(state, header.view)) return false
  if (header.height <= setup.start.header.height || header.height > setup.lastHeight) return false
  if (header.view < 1 || header.view > view) return false
  return header.view === view || header.height === setup.lastHeight
}

/**
 * A re-proposal stands on its own block, certified in some view since the header's. A certificate
 * of another one would let the leader of a later view put a second last block beside a final one.
 */
function slotOf(
  { header, hash }: Pick<RoundProposal, 'header' | 'hash'>,
  view: number,
  justification: Justification,
): Slot | undefined {
  if (header.view === view) {
    return { view, parentView: header.parentView, parentHash: bytesToHex(header.parentHash) }
  }
  const parent = justification.parent[0]?.statement
  if (!parent || parent.view < header.view) return undefined
  return { view, parentView: parent.view, parentHash: hash }
}

/** A block that was asked for. Its hash is certified, so only the link to the hash is checked. */
export function onBlockFetched(
  state: MachineState,
  header: Header,
  justification: Justification,
): void {
  const hash = bytesToHex(state.config.crypto.hashHeader(header))
  const { setup } = state.config
  if (!state.tree.wanted.has(hash) || header.epoch !== setup.epoch) return
  if (header.height > setup.lastHeight) return
  if (!isOwnJustification(state, header, justification)) return
  addBlock(state.tree, hash, header, justification)
}

/**
 * Acts on the current view's proposal: notarize, nullify or wait for what is missing. True if a
 * vote was cast, so that everything is looked at again.
 */
export function considerProposal(state: MachineState): boolean {
  if (state.view <= state.finalView) return false
  const round = roundAt(state, state.view)
  if (isSkipHelped(state, round) || isEquivocating(state, round)) {
    if (nullify(state)) return true
  }
  if (!mayNotarize(state, round)) return false
  if (round.leaderFaulty || round.nullify.votes.has(leaderOf(state, round.view))) {
    return nullify(state)
  }
  const [proposal] = round.proposals
  if (!proposal) return false
  const verdict = readiness(state.tree, proposal.hash, round.view, state.effects)
  if (verdict === 'pending') return false
  const judgement = judgeProposal(state, round, proposal, verdict)
  if (judgement === 'nullify') return nullify(state)
  if (judgement === 'notarize') notarize(state, round, proposal.hash)
  return judgement === 'notarize'
}

/** Amplification (consensus 1.6): a blocking weight gave the view up, so nobody can notarize it. */
function isSkipHelped(state: MachineState, round: Round): boolean {
  return round.nullify.weight >= state.quorum.blocking
}

/**
 * Immediate skip (consensus 1.6), even after our own vote: votes are split, so that waiting for a
 * certificate is waiting for the timer.
 */
function isEquivocating(state: MachineState, round: Round): boolean {
  return round.proposals.length > 1 || notarizedBy(round, leaderOf(state, round.view)) > 1
}

function judgeProposal(
  state: MachineState,
  round: Round,
  { header }: RoundProposal,
  verdict: BlockVerdict,
): 'notarize' | 'nullify' | 'wait' {
  // A re-proposed block was notarized by a quorum: its time was judged then, and so was all that a
  // node may object to by itself. A third that went on objecting would hold the epoch up for ever.
  if (header.view < state.view) return verdict === 'invalid' ? 'nullify' : 'notarize'
  if (verdict !== 'valid') return 'nullify'
  const { timing } = state.config
  const age = judgeTime(timing, header, state.nowMs, state.view - state.finalView - 1)
  if (age === 'too late') return 'nullify'
  if (age === 'ok') return 'notarize'
  const atMs = header.timeMs - timing.clockAheadMs
  // A clock that is wrong by more than our patience: waiting would only cost the time.
  if (atMs >= state.skipAtMs) return 'nullify'
  if (round.recheckAtMs !== atMs) {
    round.recheckAtMs = atMs
    emit(state, { type: 'setTimer', timer: 'recheck', view: state.view, atMs })
  }
  return 'wait'
}

/** Rule propose (consensus 1.6). True if a proposal left. */
export function propose(state: MachineState): boolean {
  const { duty } = state
  if (duty?.status !== 'waiting') return false
  if (!mayNotarize(state, roundAt(state, state.view))) return false
  const parent = chooseParent(state, state.view)
  if (!parent) return false
  const verdict = readiness(state.tree, parent.hash, state.view, state.effects)
  const header = headerOf(state.tree, parent.hash)
  if (verdict === 'pending' || verdict === 'invalid' || !header) return false
  if (!isTime(state, duty, header)) return false
  if (header.height === state.config.setup.lastHeight) {
    return repropose(state, duty, parent, header)
  }
  const fields = fieldsOf(state, parent, header)
  duty.status = 'building'
  duty.plan = { fields, justification: parent.justification }
  emit(state, { type: 'buildBlock', ...duty.plan })
  return false
}

/** The leader waits until a block interval has passed since the parent's time. */
function isTime(state: MachineState, duty: LeaderDuty, parent: Header): boolean {
  const fromMs = duty.enteredMs + leaderWaitMs(state.config.timing, parent, duty.enteredMs)
  if (state.nowMs >= fromMs) return true
  if (duty.wokenAtMs !== fromMs) {
    duty.wokenAtMs = fromMs
    emit(state, { type: 'setTimer', timer: 'propose', view: state.view, atMs: fromMs })
  }
  return false
}

function fieldsOf(state: MachineState, parent: ParentChoice, header: Header): ConsensusFields {
  const { setup, self, crypto } = state.config
  assert(self !== undefined, 'only a validator proposes')
  return {
    epoch: setup.epoch,
    view: state.view,
    height: header.height + 1,
    timeMs: Math.max(state.nowMs, header.timeMs + 1),
    parentHash: fromHex(parent.hash),
    parentView: parent.view,
    justHash: crypto.hashJustification(parent.justification),
    proposer: self,
  }
}

/** The host's block: signed only if the view is still open. */
export function onBlockBuilt(state: MachineState, view: number, header: Header): void {
  const { duty } = state
  if (view !== state.view || duty?.status !== 'building' || !duty.plan) return
  const round = roundAt(state, view)
  duty.status = 'done'
  if (!mayNotarize(state, round)) return
  const { fields, justification } = duty.plan
  assert(carriesFields(header, fields), 'the host changed a field that consensus decided')
  const hash = bytesToHex(state.config.crypto.hashHeader(header))
  addBlock(state.tree, hash, header, justification).status = 'valid'
  logBlock(state, hash)
  sendProposal(state, round, hash, header, justification)
}

/**
 * Epoch boundary (consensus 1.6): until the epoch's last block is final its leaders propose that
 * same block again, with a justification of their own.
 */
function repropose(
  state: MachineState,
  duty: LeaderDuty,
  parent: ParentChoice,
  header: Header,
): boolean {
  const { hash, justification } = parent
  const { view } = state
  duty.status = 'done'
  state.reproposals.set(view, justification)
  logBlock(state, hash)
  emit(state, { type: 'persist', record: { type: 'reproposal', view, justification } })
  sendProposal(state, roundAt(state, view), hash, header, justification)
  return true
}

/** W1: block and own vote are durable before the proposal leaves; the vote is its signature. */
function sendProposal(
  state: MachineState,
  round: Round,
  hash: Hex,
  header: Header,
  justification: Justification,
): void {
  const leaderVote: Vote = signVote(state, round, VoteKind.notarize, fromHex(hash))
  const proposal = { header, justification, leaderVote }
  round.proposals.push({ ...proposal, hash })
  emit(state, { type: 'broadcast', message: { type: 'proposal', proposal } })
  countVote(state, leaderVote)
}

function carriesFields(header: Header, fields: ConsensusFields): boolean {
  return (
    header.epoch === fields.epoch &&
    header.view === fields.view &&
    header.height === fields.height &&
    header.timeMs === fields.timeMs &&
    header.parentView === fields.parentView &&
    header.proposer === fields.proposer &&
    bytesEqual(header.parentHash, fields.parentHash) &&
    bytesEqual(header.justHash, fields.justHash)
  )
}
