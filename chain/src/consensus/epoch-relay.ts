import { assert } from '../bytes/assert.ts'
import type { Certificate, Justification } from '../types/consensus-objects.ts'
import { judgeLate, rememberCertificates, rememberStep } from './late-evidence.ts'
import type { MachineState } from './machine-state.ts'
import type {
  Bundle,
  ConsensusEffect,
  ConsensusEvent,
  ConsensusMessage,
  LogRecord,
  PeerName,
} from './machine-interface.ts'
import { claimsFork, epochBefore, forkOf, type PastEpoch, pastEpochOf } from './past-epoch.ts'
import type { PastVotes } from './past-votes.ts'
import { startMachine, stepMachine } from './simplex-machine.ts'
import { makeBundle } from './standstill.ts'
import { votesIn } from './votes-in.ts'
import { keepWaiting, type WaitingMessage } from './waiting-messages.ts'

/** Finished epochs whose finality certificate is still told, and whose forks are noticed. */
const LAST_WORDS_MAX = 8
const ANSWERS_REMEMBERED_MAX = 1024
/** Stands for whoever answered when a block was fetched; no peer's name. */
const FETCHED = ''

export type RelayEffect =
  | ConsensusEffect
  /** The next machine is due: call nextEpoch with it before any other event. */
  | { readonly type: 'epochEnded'; readonly epoch: number }
  /** A peer speaks of an epoch that cannot be reached by the next certificate. Not proven. */
  | { readonly type: 'epochAhead'; readonly peer: PeerName; readonly epoch: number }

/**
 * Runs one machine after the other and what lies between them: peers in older epochs are
 * answered, messages of the next epoch wait for it.
 */
export interface EpochRelay {
  machine: MachineState
  /** epochEnded has left for this machine. */
  announced: boolean
  readonly lastWords: Map<number, Bundle>
  readonly past: Map<number, PastEpoch>
  /** Of views that are final, to judge a vote by that comes late. */
  readonly pastVotes: PastVotes
  waiting: WaitingMessage[]
  readonly answeredAtMs: Map<string, number>
}

/** @param pastVotes what the relay before remembered, where this one replaces it */
export function startRelay(
  machine: MachineState,
  records: readonly LogRecord[],
  nowMs: number,
  pastVotes: PastVotes = [],
): { readonly relay: EpochRelay; readonly effects: RelayEffect[] } {
  const lastWords = new Map<number, Bundle>()
  const { epoch, start } = machine.config.setup
  if (start.certificate) lastWords.set(epoch - 1, closingBundle(start.certificate))
  const past = new Map<number, PastEpoch>()
  const before = epochBefore(machine.config.setup)
  if (before) past.set(epoch - 1, before)
  const answeredAtMs = new Map<string, number>()
  const relay: EpochRelay = {
    machine,
    announced: false,
    lastWords,
    past,
    pastVotes,
    waiting: [],
    answeredAtMs,
  }
  const final = [start.certificate, machine.finalCertificate].filter((each) => each !== undefined)
  const effects = closing(relay, startMachine(machine, records, nowMs))
  return { relay, effects: [...effects, ...rememberCertificates(relay, final)] }
}

/**
 * Remembers the votes in the justifications of stored final blocks, of this epoch or the one
 * before: after a start, or where block sync went past the machine.
 */
export function rememberBlocks(
  relay: EpochRelay,
  blocks: readonly { readonly justification: Justification }[],
): RelayEffect[] {
  const certificates = blocks.flatMap(({ justification }) => [
    ...justification.parent,
    ...justification.skips,
  ])
  return rememberCertificates(relay, certificates)
}

/**
 * Replaces a finished machine by that of the next epoch.
 * @param records what the log keeps of that epoch: where the chain on disk was set back behind
 *   the log, this node voted in it before
 */
export function nextEpoch(
  relay: EpochRelay,
  machine: MachineState,
  records: readonly LogRecord[],
  nowMs: number,
): RelayEffect[] {
  const { epoch } = relay.machine.config.setup
  assert(relay.machine.finished, 'an epoch ends before the next one starts')
  assert(machine.config.setup.epoch === epoch + 1, 'epochs follow each other')
  const { certificate } = machine.config.setup.start
  assert(certificate, 'an epoch ends with a certificate')
  relay.lastWords.set(epoch, closingBundle(certificate))
  relay.lastWords.delete(epoch - LAST_WORDS_MAX)
  relay.past.set(epoch, pastEpochOf(relay.machine, certificate))
  relay.past.delete(epoch - LAST_WORDS_MAX)
  relay.machine = machine
  relay.announced = false
  const effects = closing(relay, startMachine(machine, records, nowMs))
  const { waiting } = relay
  relay.waiting = []
  for (const { from, message } of waiting) {
    effects.push(...stepRelay(relay, { type: 'message', nowMs, from, message }))
  }
  return effects
}

export function stepRelay(relay: EpochRelay, event: ConsensusEvent): RelayEffect[] {
  const { machine } = relay
  const current = machine.config.setup.epoch
  if (machine.halted) return []
  if (event.type === 'blockFetched') {
    // A certified chain of this epoch may stand on another end of the epoch before.
    const halt = forkInPast(relay, FETCHED, event.justification.parent, event.nowMs)
    if (halt.length > 0) return halt
  }
  if (event.type !== 'message') return closing(relay, stepMachine(machine, event))
  const { from, message, nowMs } = event
  const epoch = epochOf(message)
  if (epoch <= current) {
    const halt = forkInPast(relay, from, certificatesIn(message), nowMs)
    if (halt.length > 0) return halt
    const late = lateEvidence(relay, from, message, nowMs)
    if (epoch < current) return [...late, ...answerOlder(relay, from, epoch, nowMs)]
    return [...late, ...closing(relay, stepMachine(machine, event))]
  }
  if (epoch > current + 1) return [{ type: 'epochAhead', peer: from, epoch }]
  keepWaiting(relay.waiting, { from, message })
  const proof = finalityIn(message, current)
  if (proof) {
    const certificate = { type: 'certificate', certificate: proof } as const
    return closing(relay, stepMachine(machine, { ...event, message: certificate }))
  }
  // The answer to our bundle is the certificate that ends our epoch.
  const question = { type: 'bundle', bundle: makeBundle(machine, 1) } as const
  return isAnswerDue(relay, from, epoch, nowMs)
    ? [{ type: 'sendTo', peer: from, message: question }]
    : []
}

/** All that a peer in an epoch that is over needs. */
function closingBundle(certificate: Certificate): Bundle {
  const { epoch, view } = certificate.statement
  return { epoch, view: view + 1, finalView: view, certificates: [certificate], votes: [] }
}

export function epochOf(message: ConsensusMessage): number {
  switch (message.type) {
    case 'proposal':
      return message.proposal.leaderVote.statement.epoch
    case 'vote':
      return message.vote.statement.epoch
    case 'certificate':
      return message.certificate.statement.epoch
    case 'bundle':
      return message.bundle.epoch
  }
}

function closing(relay: EpochRelay, effects: ConsensusEffect[]): RelayEffect[] {
  const { finished, config } = relay.machine
  const proven = [...effects, ...rememberStep(relay, effects)]
  if (!finished || relay.announced) return proven
  relay.announced = true
  return [...proven, { type: 'epochEnded', epoch: config.setup.epoch }]
}

/** The first block of an epoch carries the finality certificate of the epoch before. */
function finalityIn(message: ConsensusMessage, epoch: number): Certificate | undefined {
  if (message.type !== 'proposal') return undefined
  const [parent] = message.proposal.justification.parent
  return parent?.statement.epoch === epoch ? parent : undefined
}

/**
 * The old epoch answers with its finality certificate; our own position shows how far we are, once
 * for all epochs that a peer may name.
 */
function answerOlder(
  relay: EpochRelay,
  peer: PeerName,
  epoch: number,
  nowMs: number,
): RelayEffect[] {
  const lastWords = relay.lastWords.get(epoch)
  const bundles = lastWords && isAnswerDue(relay, peer, epoch, nowMs) ? [lastWords] : []
  if (isDue(relay, `place/${peer}`, nowMs)) bundles.push(makeBundle(relay.machine, 1))
  return bundles.map((bundle) => ({ type: 'sendTo', peer, message: { type: 'bundle', bundle } }))
}

/**
 * An epoch that is over became final on another chain, too: the machine stops, as in the running
 * epoch (consensus 1.8). Of claims that are not on our chain one per peer is verified in half a
 * rebroadcast interval: no honest peer makes any.
 */
function forkInPast(
  relay: EpochRelay,
  peer: PeerName,
  claims: readonly Certificate[],
  nowMs: number,
): RelayEffect[] {
  const { machine, past } = relay
  for (const claim of claims) {
    const { epoch } = claim.statement
    const known = past.get(epoch)
    if (!known || epoch <= (machine.config.settledEpoch ?? 0)) continue
    if (!claimsFork(known, claim)) continue
    if (!isDue(relay, `fork/${peer}`, nowMs)) return []
    const pairs = forkOf(known, claim, machine.config.crypto)
    if (!pairs) return []
    machine.halted = true
    const guilty = pairs.map(({ first }) => first.validator)
    const reason = `two chains have finality certificates in epoch ${epoch}`
    const evidence = pairs.map((pair) => ({ type: 'evidence', ...pair }) as const)
    return [...evidence, { type: 'halt', reason, certificate: claim, ours: known.closing, guilty }]
  }
  return []
}

/**
 * Votes of views that are final come late or are sent again by anybody. After a false one none of
 * that peer is looked at for half a rebroadcast interval.
 */
function lateEvidence(
  relay: EpochRelay,
  peer: PeerName,
  message: ConsensusMessage,
  nowMs: number,
): RelayEffect[] {
  const key = `forged/${peer}`
  return judgeLate(relay, votesIn(message), {
    mayCheck: () => !wasRecent(relay, key, nowMs),
    onForged: () => noteAt(relay, key, nowMs),
  })
}

function certificatesIn(message: ConsensusMessage): readonly Certificate[] {
  switch (message.type) {
    case 'certificate':
      return [message.certificate]
    case 'bundle':
      return message.bundle.certificates
    case 'proposal':
      return message.proposal.justification.parent
    case 'vote':
      return []
  }
}

function isAnswerDue(relay: EpochRelay, peer: PeerName, epoch: number, nowMs: number): boolean {
  return isDue(relay, `${epoch}/${peer}`, nowMs)
}

function isDue(relay: EpochRelay, key: string, nowMs: number): boolean {
  if (wasRecent(relay, key, nowMs)) return false
  noteAt(relay, key, nowMs)
  return true
}

function wasRecent({ answeredAtMs, machine }: EpochRelay, key: string, nowMs: number): boolean {
  const last = answeredAtMs.get(key)
  return last !== undefined && nowMs - last < machine.config.timing.rebroadcastMs / 2
}

function noteAt({ answeredAtMs }: EpochRelay, key: string, nowMs: number): void {
  answeredAtMs.delete(key)
  const [oldest] = answeredAtMs.keys()
  if (answeredAtMs.size >= ANSWERS_REMEMBERED_MAX && oldest !== undefined) {
    answeredAtMs.delete(oldest)
  }
  answeredAtMs.set(key, nowMs)
}
