import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { addBlock } from './block-tree.ts'
import { onHeadMoved, tryCommit } from './committing.ts'
import { emit, leaderOf, type MachineState, roundAt } from './machine-state.ts'
import type {
  ConsensusEffect,
  ConsensusEvent,
  ConsensusMessage,
  LogRecord,
  PeerName,
  TimerName,
} from './machine-interface.ts'
import { considerProposal, onBlockBuilt, onBlockFetched, onProposal, propose } from './proposing.ts'
import type { Round } from './round.ts'
import { broadcastBundle, onBundle, onStandstillTimer } from './standstill.ts'
import {
  acceptCertificate,
  countVote,
  enterView,
  nullify,
  onCertificate,
  onVote,
  rememberOwn,
} from './voting.ts'

/*
 * Simplex (Chan, Pass, TCC 2023, in the form of docs/protocol/consensus.md, 1.3-1.7) for one epoch.
 * No clock, no randomness, no I/O: time comes with events, everything else leaves as effects in
 * the order in which they must happen.
 *
 * Where this differs from the paper:
 *  - Votes carry weights; a quorum is floor(2W/3) + 1 of the weight, leaders come from a weighted
 *    schedule instead of a random oracle.
 *  - The paper's dummy block is a nullify certificate; a block names its parent's view and
 *    carries a certificate for it and one for each view between (justification), so any fork
 *    shows a third of the weight guilty and one proposal catches a lagging node up.
 *  - Nobody waits for a view's notarization to be relayed: certificates are not forwarded one by
 *    one. What was lost comes with the next proposal or, at a standstill, in bundles.
 *  - Skip timers grow while no view becomes final; the paper assumes a known bound on delay.
 *    A view that a quorum skipped before the timer ran out counts for nothing: else a few bad
 *    leaders who are found out at once would buy the next bad one a long silence.
 *  - A blocking weight of nullify votes is joined at once; an invalid proposal is skipped at once.
 *  - A finalize vote may follow for a view already left, as long as that view was not nullified.
 *  - An epoch ends: its last block is proposed again in later views until it is final, and
 *    the next epoch starts from it at view 1 with a fresh machine.
 */

/** One event ends a handful of views at most. */
const RULES_PER_EVENT_MAX = 1000

/** Takes up work at a given moment, with what the log kept of this epoch (consensus 1.7). */
export function startMachine(
  state: MachineState,
  records: readonly LogRecord[],
  nowMs: number,
): ConsensusEffect[] {
  state.nowMs = nowMs
  restoreBlocks(state, records)
  const view = restoreVotes(state, records)
  for (const record of records) {
    if (record.type === 'certificate' && isOfEpoch(state, record.certificate.statement.epoch)) {
      acceptCertificate(state, record.certificate)
    }
  }
  enterView(state, Math.max(view, state.finalView + 1))
  repeatProposal(state)
  broadcastBundle(state)
  return settle(state).filter((effect) => !isAlreadyLogged(effect, records))
}

function isAlreadyLogged(effect: ConsensusEffect, records: readonly LogRecord[]): boolean {
  if (effect.type !== 'persist' || effect.record.type !== 'certificate') return false
  const { certificate } = effect.record
  return records.some((each) => each.type === 'certificate' && each.certificate === certificate)
}

/** One event in, its effects out. */
export function stepMachine(state: MachineState, event: ConsensusEvent): ConsensusEffect[] {
  state.closed.length = 0
  if (state.halted || state.finished) return []
  state.nowMs = Math.max(state.nowMs, event.nowMs)
  switch (event.type) {
    case 'message':
      onMessage(state, event.from, event.message)
      break
    case 'timer':
      onTimer(state, event.timer, event.view)
      break
    case 'blockBuilt':
      onBlockBuilt(state, event.view, event.header)
      break
    case 'blockNotBuilt':
      if (state.duty && event.view === state.view) state.duty.status = 'done'
      break
    case 'blockValidated': {
      const block = state.tree.blocks.get(event.hash)
      if (block?.status === 'validating') block.status = event.verdict
      break
    }
    case 'headMoved':
      onHeadMoved(state, event.head)
      break
    case 'blockFetched':
      onBlockFetched(state, event.header, event.justification)
      break
  }
  return settle(state)
}

function onMessage(state: MachineState, from: PeerName, message: ConsensusMessage): void {
  switch (message.type) {
    case 'proposal':
      return onProposal(state, message.proposal)
    case 'vote':
      onVote(state, message.vote)
      return
    case 'certificate':
      onCertificate(state, message.certificate)
      return
    case 'bundle':
      return onBundle(state, from, message.bundle)
  }
}

function onTimer(state: MachineState, timer: TimerName, view: number): void {
  if (timer === 'fetch') return onFetchTimer(state)
  if (view !== state.view) return
  // Propose and recheck only wake us.
  if (timer === 'skip') onSkipTimer(state)
  if (timer === 'standstill') onStandstillTimer(state)
}

/**
 * Rule skip (consensus 1.6): the leader's time is over. A timer may ring a little before the clock
 * is there; a view that must last longer is given up by the next one.
 */
function onSkipTimer(state: MachineState): void {
  const { nowMs, heldUntilMs, view } = state
  if (nowMs >= heldUntilMs) nullify(state)
  else emit(state, { type: 'setTimer', timer: 'skip', view, atMs: heldUntilMs })
}

function onFetchTimer(state: MachineState): void {
  state.fetchTimerSet = false
  for (const [hash, wanted] of state.tree.wanted) {
    wanted.attempt += 1
    emit(state, { type: 'fetchBlock', hash, attempt: wanted.attempt })
  }
}

/** Fires every rule that the event enabled, until none is left, and hands the effects out. */
function settle(state: MachineState): ConsensusEffect[] {
  for (let fired = 0; ; fired++) {
    assert(fired < RULES_PER_EVENT_MAX, 'every rule fires at most once in a view')
    tryCommit(state)
    if (state.finished || state.halted) break
    if (considerProposal(state)) continue
    if (propose(state)) continue
    break
  }
  if (state.tree.wanted.size > 0 && !state.fetchTimerSet) {
    state.fetchTimerSet = true
    const atMs = state.nowMs + state.config.timing.rebroadcastMs
    emit(state, { type: 'setTimer', timer: 'fetch', view: state.view, atMs })
  }
  const { effects } = state
  state.effects = []
  return effects
}

function isOfEpoch(state: MachineState, epoch: number): boolean {
  return epoch === state.config.setup.epoch
}

function restoreBlocks(state: MachineState, records: readonly LogRecord[]): void {
  const { tree } = state
  for (const record of records) {
    if (record.type === 'reproposal') state.reproposals.set(record.view, record.justification)
    if (record.type !== 'block') continue
    const { hash, header, justification } = record.block
    if (!isOfEpoch(state, header.epoch) || header.height <= tree.head.header.height) continue
    addBlock(tree, hash, header, justification).logged = true
  }
}

/** Own votes bind again before anything else can be signed. Returns the highest view voted in. */
function restoreVotes(state: MachineState, records: readonly LogRecord[]): number {
  const own = records.flatMap((record) => (record.type === 'vote' ? [record.vote] : []))
  const current = own.filter(
    ({ statement, validator }) =>
      isOfEpoch(state, statement.epoch) &&
      validator === state.config.self &&
      statement.view > state.finalView,
  )
  for (const vote of current) rememberOwn(roundAt(state, vote.statement.view), vote)
  for (const vote of current) countVote(state, vote)
  return current.reduce((view, { statement }) => Math.max(view, statement.view), 0)
}

/** A leader that crashed after its vote says its proposal again: it may not make another. */
function repeatProposal(state: MachineState): void {
  if (state.view <= state.finalView) return
  const round: Round = roundAt(state, state.view)
  const { view } = round
  const leaderVote = round.own.notarize
  if (!leaderVote || leaderOf(state, view) !== state.config.self) return
  const block = state.tree.blocks.get(bytesToHex(leaderVote.statement.hash))
  if (!block) return
  const justification =
    block.header.view === view ? block.justification : state.reproposals.get(view)
  if (!justification) return
  const proposal = { header: block.header, justification, leaderVote }
  round.proposals.push({ ...proposal, hash: block.hash })
  emit(state, { type: 'broadcast', message: { type: 'proposal', proposal } })
}
