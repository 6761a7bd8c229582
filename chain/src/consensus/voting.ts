import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import {
  type Certificate,
  type Statement,
  type Vote,
  VoteKind,
} from '../types/consensus-objects.ts'
import { isWellFormed } from '../types/contradiction.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { headerOf, want, withoutStatus } from './block-tree.ts'
import { assembleCertificate, isValidCertificate, votesOf } from './certificate.ts'
import { type ChainLink, forkPairs } from './fork-proof.ts'
import {
  closeRounds,
  emit,
  heldCertificate,
  leaderOf,
  type MachineState,
  roundAt,
  VIEWS_AHEAD_MAX,
} from './machine-state.ts'
import { nearestParent, roomUsed } from './parent-choice.ts'
import { contradictionOf, isRedundant, rememberCast, type Round, tallyOf } from './round.ts'
import { leaderWaitMs, skipHoldMs, skipTimeoutMs, standstillMs } from './timing.ts'

/** Own votes leave only from a member of the set, above its lease, while the epoch runs. */
export function maySign(state: MachineState, view: number): boolean {
  const { self, signAbove } = state.config
  return self !== undefined && view > signAbove && !state.finished && !state.halted
}

/** Rule notarize (consensus 1.5): at most once, and never after nullify of the view. */
export function mayNotarize(state: MachineState, round: Round): boolean {
  const { own } = round
  return maySign(state, round.view) && round.view === state.view && !own.notarize && !own.nullify
}

/** Rule nullify (consensus 1.5): never after finalize of the view; after notarize it may. */
export function mayNullify(state: MachineState, round: Round): boolean {
  return maySign(state, round.view) && !round.own.nullify && !round.own.finalize
}

/**
 * Rule finalize (consensus 1.5): only what it notarized itself and holds certified, and never
 * after nullify of the view. Also allowed after having moved on to a later view.
 */
export function mayFinalize(state: MachineState, round: Round): boolean {
  const { own, notarized } = round
  if (!maySign(state, round.view) || own.nullify || own.finalize) return false
  if (!own.notarize || !notarized) return false
  return bytesEqual(own.notarize.statement.hash, notarized.statement.hash)
}

/** W1, W2: the vote is in the log before anything else of it can be seen, even a count. */
export function signVote(
  state: MachineState,
  round: Round,
  kind: VoteKind,
  hash: Uint8Array,
): Vote {
  const { setup, self, crypto } = state.config
  assert(self !== undefined, 'only a validator signs')
  const statement = { kind, epoch: setup.epoch, view: round.view, hash }
  const vote = { statement, validator: self, signature: crypto.sign(statement) }
  rememberOwn(round, vote)
  emit(state, { type: 'persist', record: { type: 'vote', vote } })
  return vote
}

export function rememberOwn(round: Round, vote: Vote): void {
  const { kind } = vote.statement
  if (kind === VoteKind.notarize) round.own.notarize = vote
  else if (kind === VoteKind.nullify) round.own.nullify = vote
  else round.own.finalize = vote
}

function castVote(state: MachineState, round: Round, kind: VoteKind, hash: Uint8Array): void {
  const vote = signVote(state, round, kind, hash)
  emit(state, { type: 'broadcast', message: { type: 'vote', vote } })
  countVote(state, vote)
}

export function notarize(state: MachineState, round: Round, hash: Hex): void {
  assert(mayNotarize(state, round), 'rule notarize')
  const status = state.tree.blocks.get(hash)?.status
  assert(status === 'valid' || status === 'refused', 'only an executed block is notarized')
  logBlock(state, hash)
  castVote(state, round, VoteKind.notarize, fromHex(hash))
}

/**
 * Nullifies the current view unless a rule forbids it, or the room for skips runs out and the view
 * has not lasted for long enough yet. True if it did.
 */
export function nullify(state: MachineState): boolean {
  if (state.nowMs < state.heldUntilMs) return false
  const round = roundAt(state, state.view)
  if (!mayNullify(state, round)) return false
  castVote(state, round, VoteKind.nullify, ZERO_HASH)
  return true
}

/** A validator keeps every block it notarized until its fate is decided. */
export function logBlock(state: MachineState, hash: Hex): void {
  const block = state.tree.blocks.get(hash)
  if (!block || block.logged) return
  block.logged = true
  emit(state, { type: 'persist', record: { type: 'block', block: withoutStatus(block) } })
}

/**
 * A vote from outside: bounded in view, verified, then counted. False if its signature is, so that
 * the rest of its message is dropped.
 */
export function onVote(state: MachineState, vote: Vote): boolean {
  const { setup, crypto, self } = state.config
  const { statement, validator } = vote
  if (statement.epoch !== setup.epoch || !isWellFormed(statement)) return true
  if (statement.view <= state.finalView || statement.view > state.view + VIEWS_AHEAD_MAX) {
    return true
  }
  const member = setup.validators[validator]
  if (!member || isRedundant(roundAt(state, statement.view), vote)) return true
  if (!crypto.verify(statement, member.publicKey, vote.signature)) return false
  if (validator === self) noticeDoppelganger(state, vote)
  countVote(state, vote)
  return true
}

/** Second line against double signing: our key votes somewhere else. */
function noticeDoppelganger(state: MachineState, vote: Vote): void {
  const { view, kind, hash } = vote.statement
  if (state.sawDoppelganger || view <= state.config.signAbove) return
  const { own } = roundAt(state, view)
  const known = [undefined, own.notarize, own.nullify, own.finalize][kind]
  if (known && bytesEqual(known.statement.hash, hash)) return
  state.sawDoppelganger = true
  emit(state, { type: 'doppelganger', vote })
}

/** Counts a verified vote; at weight q the certificate is formed. */
export function countVote(state: MachineState, vote: Vote): void {
  const { statement, validator } = vote
  if (statement.view <= state.finalView) return
  const round = roundAt(state, statement.view)
  if (isRedundant(round, vote)) return
  const contradiction = contradictionOf(round, vote)
  if (contradiction && !round.accused.has(validator)) {
    round.accused.add(validator)
    emit(state, { type: 'evidence', first: contradiction, second: vote })
  }
  rememberCast(round, vote)
  const { validators } = state.config.setup
  const tally = tallyOf(round, vote)
  tally.votes.set(validator, vote)
  tally.weight += validators[validator]?.weight ?? 0
  if (tally.weight < state.quorum.quorum || heldCertificate(state, statement)) return
  acceptCertificate(state, assembleCertificate(statement, tally.votes, validators.length))
}

/** A certificate from outside. False if it is false, so that the rest of its message is dropped. */
export function onCertificate(state: MachineState, certificate: Certificate): boolean {
  const { setup, crypto } = state.config
  const { statement } = certificate
  if (statement.epoch !== setup.epoch) return false
  const held = heldCertificate(state, statement)
  if (held && bytesEqual(held.statement.hash, statement.hash)) return true
  const isPast = statement.view <= state.finalView
  if (isPast && (isSettled(state) || (!held && !isForeignFinality(state, statement)))) return true
  if (!isValidCertificate(certificate, setup.validators, crypto)) return false
  const ours = held ?? state.committed
  if (isPast && ours && statement.kind === VoteKind.finalize) {
    haltOnFork(state, certificate, ours, state.finalLinks)
    return true
  }
  if (!held) acceptCertificate(state, certificate)
  // The single votes may contradict others: a fork must show who made it.
  for (const vote of votesOf(certificate)) {
    if (vote.statement.view <= state.finalView) break
    if (vote.validator === state.config.self) noticeDoppelganger(state, vote)
    countVote(state, vote)
  }
  return true
}

/** The operator has decided a fork of this epoch: what is final below is settled. */
function isSettled({ config }: MachineState): boolean {
  return config.setup.epoch <= (config.settledEpoch ?? 0)
}

/** True for the finality of a block below the committed one that is not on our chain. */
function isForeignFinality(state: MachineState, { kind, view, hash }: Statement): boolean {
  const { committed, finalLinks, linksAbove, finished } = state
  if (kind !== VoteKind.finalize || finished || !committed) return false
  if (view <= linksAbove || view > committed.statement.view) return false
  const name = bytesToHex(hash)
  return !finalLinks.some((link) => link.view === view && link.hash === name)
}

/**
 * Two chains of this epoch are final. The machine stops and says who made it so: whoever signed
 * both of two certificates that contradict each other (consensus 1.8).
 */
export function haltOnFork(
  state: MachineState,
  certificate: Certificate,
  ours: Certificate,
  links: readonly ChainLink[],
): void {
  if (state.halted) return
  const { setup, crypto } = state.config
  const pairs = forkPairs(ours, certificate, links, { validators: setup.validators, crypto })
  for (const pair of pairs) emit(state, { type: 'evidence', ...pair })
  const guilty = pairs.map(({ first }) => first.validator)
  halt(state, 'two chains have finality certificates', certificate, { ours, guilty })
}

/** Acts on a checked certificate. It rides on the next sync of the log (W3). */
export function acceptCertificate(state: MachineState, certificate: Certificate): void {
  const { kind, view, hash } = certificate.statement
  if (view <= state.finalView) return
  emit(state, { type: 'persist', record: { type: 'certificate', certificate } })
  if (kind === VoteKind.finalize) {
    acceptFinality(state, certificate)
  } else {
    const round = roundAt(state, view)
    if (kind === VoteKind.nullify) {
      round.nullified = certificate
    } else {
      round.notarized = certificate
      if (mayFinalize(state, round)) castVote(state, round, VoteKind.finalize, hash)
      want(state.tree, bytesToHex(hash), view, state.effects)
    }
  }
  if (view >= state.view) enterView(state, view + 1)
}

function acceptFinality(state: MachineState, certificate: Certificate): void {
  const { view, hash } = certificate.statement
  state.finalView = view
  state.finalCertificate = certificate
  state.uncommitted = { hash: bytesToHex(hash), certificate }
  closeRounds(state, view)
  if (view >= state.view) return
  if (state.leaderFromMs + patienceMs(state) < state.skipAtMs) setPatience(state)
}

/** T(v) of consensus 1.3. */
function patienceMs(state: MachineState): number {
  let waited = state.view - state.finalView - 1
  for (const { leftEarly } of state.rounds.values()) if (leftEarly) waited -= 1
  return skipTimeoutMs(state.config.timing, waited)
}

/** Rule enter (consensus 1.6): the view moves up, its timers start, its leader gets its duty. */
export function enterView(state: MachineState, view: number): void {
  if (view <= state.view || state.finished || state.halted) return
  const { timing, self } = state.config
  const left = state.rounds.get(state.view)
  if (left?.nullified && state.nowMs < state.skipAtMs) left.leftEarly = true
  state.view = view
  state.standstills = 0
  const parent = nearestParent(state, view)
  const header = parent && headerOf(state.tree, parent.hash)
  state.heldUntilMs = parent ? state.nowMs + skipHoldMs(timing, roomUsed(parent)) : 0
  state.leaderFromMs = state.nowMs + leaderWaitMs(timing, header, state.nowMs)
  setPatience(state)
  state.duty =
    leaderOf(state, view) === self
      ? { enteredMs: state.nowMs, wokenAtMs: 0, status: 'waiting', plan: undefined }
      : undefined
}

/** Starts the current view's timers, or shortens them when finality shows the network is well. */
function setPatience(state: MachineState): void {
  const { timing, self } = state.config
  const { view } = state
  const patienceEndMs = state.leaderFromMs + patienceMs(state)
  const skipAt = Math.max(patienceEndMs, state.heldUntilMs)
  state.skipAtMs = skipAt
  emit(state, { type: 'setTimer', timer: 'skip', view, atMs: skipAt })
  // Who missed something hears of it as early as ever.
  const standstillAt = patienceEndMs + standstillMs(timing, self, view, 0)
  emit(state, { type: 'setTimer', timer: 'standstill', view, atMs: standstillAt })
}

export function halt(
  state: MachineState,
  reason: string,
  certificate: Certificate,
  fork?: { readonly ours: Certificate; readonly guilty: readonly number[] },
): void {
  if (state.halted) return
  state.halted = true
  const { ours, guilty } = fork ?? { ours: undefined, guilty: [] }
  emit(state, { type: 'halt', reason, certificate, ours, guilty })
}
