import type { Certificate, Vote } from '../types/consensus-objects.ts'
import { certificateBytes } from './certificate.ts'
import { BUNDLE_BYTES_MAX, emit, type MachineState } from './machine-state.ts'
import type { Bundle, PeerName } from './machine-interface.ts'
import { ownVotes } from './round.ts'
import { standstillMs } from './timing.ts'
import { onCertificate, onVote } from './voting.ts'

const VOTE_BYTES = 128
const PEERS_REMEMBERED_MAX = 256

/**
 * What may be missing elsewhere: the finality certificate first, then the current view's own votes,
 * then the lowest views from `fromView` on, because a peer climbs from below.
 */
export function makeBundle(state: MachineState, fromView: number): Bundle {
  const { finalCertificate, finalView, view } = state
  const certificates: Certificate[] = finalCertificate ? [finalCertificate] : []
  const current = state.rounds.get(view)
  const votes: Vote[] = current ? ownVotes(current) : []
  let room = BUNDLE_BYTES_MAX - 1024 - votes.length * VOTE_BYTES
  for (const certificate of certificates) room -= certificateBytes(certificate)
  for (let below = Math.max(finalView + 1, fromView); below < view; below++) {
    const round = state.rounds.get(below)
    if (!round) continue
    const ofRound = [round.notarized, round.nullified].filter((each) => each !== undefined)
    const own = ownVotes(round)
    for (const certificate of ofRound) room -= certificateBytes(certificate)
    room -= own.length * VOTE_BYTES
    if (room < 0) break
    certificates.push(...ofRound)
    votes.push(...own)
  }
  return { epoch: state.config.setup.epoch, view, finalView, certificates, votes }
}

export function broadcastBundle(state: MachineState): void {
  const bundle = makeBundle(state, state.finalView + 1)
  emit(state, { type: 'broadcast', message: { type: 'bundle', bundle } })
}

/**
 * Rule standstill (consensus 1.6): tell everybody what may be missing, again and again. The view
 * was given up when its time was over, or lasts on because it is held.
 */
export function onStandstillTimer(state: MachineState): void {
  const { timing, self } = state.config
  broadcastBundle(state)
  state.standstills += 1
  const atMs = state.nowMs + standstillMs(timing, self, state.view, state.standstills)
  emit(state, { type: 'setTimer', timer: 'standstill', view: state.view, atMs })
}

/** Takes in a bundle; a sender that is behind gets ours, from its view on. */
export function onBundle(state: MachineState, from: PeerName, bundle: Bundle): void {
  if (bundle.certificates.every((certificate) => onCertificate(state, certificate))) {
    bundle.votes.every((vote) => onVote(state, vote))
  }
  if (bundle.view >= state.view && bundle.finalView >= state.finalView) return
  answerWithBundle(state, from, bundle.view)
}

/** Rate-limited per peer: a small question must not buy many large answers. */
function answerWithBundle(state: MachineState, peer: PeerName, fromView: number): void {
  const { answeredAtMs, nowMs } = state
  const last = answeredAtMs.get(peer)
  if (last !== undefined && nowMs - last < state.config.timing.rebroadcastMs / 2) return
  if (answeredAtMs.size >= PEERS_REMEMBERED_MAX) answeredAtMs.clear()
  answeredAtMs.set(peer, nowMs)
  const bundle = makeBundle(state, Math.max(1, fromView))
  emit(state, { type: 'sendTo', peer, message: { type: 'bundle', bundle } })
}
