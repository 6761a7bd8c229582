import { assert } from '../bytes/assert.ts'
import type { Certificate } from '../types/consensus-objects.ts'
import type { MachineState } from './machine-state.ts'
import type {
  Bundle,
  ConsensusEffect,
  ConsensusEvent,
  ConsensusMessage,
  LogRecord,
  PeerName,
} from './machine-interface.ts'
import { startMachine, stepMachine } from './simplex-machine.ts'
import { makeBundle } from './standstill.ts'

/** Finished epochs whose finality certificate is still told to peers that are in them. */
const LAST_WORDS_MAX = 8
const WAITING_MESSAGES_MAX = 256
const WAITING_MESSAGES_PER_PEER_MAX = 64
/** Proposals with longer justifications are not kept waiting: they would be memory for anyone. */
const WAITING_SKIPS_MAX = 8
const ANSWERS_REMEMBERED_MAX = 1024

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
  waiting: { readonly from: PeerName; readonly message: ConsensusMessage }[]
  readonly answeredAtMs: Map<string, number>
}

export function startRelay(
  machine: MachineState,
  records: readonly LogRecord[],
  nowMs: number,
): { readonly relay: EpochRelay; readonly effects: RelayEffect[] } {
  const lastWords = new Map<number, Bundle>()
  const { epoch, start } = machine.config.setup
  if (start.certificate) lastWords.set(epoch - 1, closingBundle(start.certificate))
  const answeredAtMs = new Map<string, number>()
  const relay = { machine, announced: false, lastWords, waiting: [], answeredAtMs }
  return { relay, effects: closing(relay, startMachine(machine, records, nowMs)) }
}

/** Replaces a finished machine by that of the next epoch. */
export function nextEpoch(relay: EpochRelay, machine: MachineState, nowMs: number): RelayEffect[] {
  const { epoch } = relay.machine.config.setup
  assert(relay.machine.finished, 'an epoch ends before the next one starts')
  assert(machine.config.setup.epoch === epoch + 1, 'epochs follow each other')
  const { certificate } = machine.config.setup.start
  assert(certificate, 'an epoch ends with a certificate')
  relay.lastWords.set(epoch, closingBundle(certificate))
  relay.lastWords.delete(epoch - LAST_WORDS_MAX)
  relay.machine = machine
  relay.announced = false
  const effects = closing(relay, startMachine(machine, [], nowMs))
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
  if (event.type !== 'message') return closing(relay, stepMachine(machine, event))
  const { from, message, nowMs } = event
  const epoch = epochOf(message)
  if (epoch === current) return closing(relay, stepMachine(machine, event))
  if (epoch < current) return answerOlder(relay, from, epoch, nowMs)
  if (epoch > current + 1) return [{ type: 'epochAhead', peer: from, epoch }]
  keepWaiting(relay, from, message)
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
  if (!finished || relay.announced) return effects
  relay.announced = true
  return [...effects, { type: 'epochEnded', epoch: config.setup.epoch }]
}

/** The first block of an epoch carries the finality certificate of the epoch before. */
function finalityIn(message: ConsensusMessage, epoch: number): Certificate | undefined {
  if (message.type !== 'proposal') return undefined
  const [parent] = message.proposal.justification.parent
  return parent?.statement.epoch === epoch ? parent : undefined
}

/** The old epoch answers with its finality certificate; our own position shows how far we are. */
function answerOlder(
  relay: EpochRelay,
  peer: PeerName,
  epoch: number,
  nowMs: number,
): RelayEffect[] {
  if (!isAnswerDue(relay, peer, epoch, nowMs)) return []
  const lastWords = relay.lastWords.get(epoch)
  const bundles = [...(lastWords ? [lastWords] : []), makeBundle(relay.machine, 1)]
  return bundles.map((bundle) => ({ type: 'sendTo', peer, message: { type: 'bundle', bundle } }))
}

function isAnswerDue(relay: EpochRelay, peer: PeerName, epoch: number, nowMs: number): boolean {
  const { answeredAtMs, machine } = relay
  const key = `${epoch}/${peer}`
  const last = answeredAtMs.get(key)
  if (last !== undefined && nowMs - last < machine.config.timing.rebroadcastMs / 2) return false
  if (answeredAtMs.size >= ANSWERS_REMEMBERED_MAX) answeredAtMs.clear()
  answeredAtMs.set(key, nowMs)
  return true
}

/** Not verified yet, so bounded per peer: the oldest of that peer gives way. */
function keepWaiting(relay: EpochRelay, from: PeerName, message: ConsensusMessage): void {
  if (message.type === 'bundle') return
  if (message.type === 'proposal') {
    if (message.proposal.justification.skips.length > WAITING_SKIPS_MAX) return
  }
  const { waiting } = relay
  const ofPeer = waiting.filter((each) => each.from === from)
  if (ofPeer.length >= WAITING_MESSAGES_PER_PEER_MAX) {
    waiting.splice(waiting.indexOf(ofPeer[0] as (typeof waiting)[number]), 1)
  } else if (waiting.length >= WAITING_MESSAGES_MAX) {
    waiting.shift()
  }
  waiting.push({ from, message })
}
