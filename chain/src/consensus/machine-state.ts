import { assert } from '../bytes/assert.ts'
import type { Hex } from '../bytes/hex.ts'
import type { Certificate, Justification, Statement } from '../types/consensus-objects.ts'
import { VoteKind } from '../types/consensus-objects.ts'
import { type BlockTree, createBlockTree } from './block-tree.ts'
import type { ChainLink } from './fork-proof.ts'
import { leaderSchedule } from './leader-schedule.ts'
import type {
  ConsensusCrypto,
  ConsensusEffect,
  ConsensusFields,
  ConsensusTiming,
  EpochSetup,
  FinalBlock,
  PeerName,
} from './machine-interface.ts'
import { type Quorum, quorumOf } from './quorum.ts'
import { createRound, type Round } from './round.ts'

/** Votes are counted up to this many views above the current one; certificates at any view. */
export const VIEWS_AHEAD_MAX = 32
/** Standstill bundles stop growing here: unbounded ones can feed on their own congestion. */
export const BUNDLE_BYTES_MAX = 256 * 1024

export interface MachineConfig {
  readonly setup: EpochSetup
  /** Last committed block: of this epoch, or its start. */
  readonly head: FinalBlock
  /** Index in the validator set; undefined only follows. */
  readonly self: number | undefined
  /** No vote of a view at or below this one is signed: what the signer's lease demands. */
  readonly signAbove: number
  /** In this epoch and those before, the operator has decided a fork: its other side is no news. */
  readonly settledEpoch?: number
  readonly timing: ConsensusTiming
  readonly crypto: ConsensusCrypto
}

/** The leader's own work in the current view. */
export interface LeaderDuty {
  readonly enteredMs: number
  /** Time of the propose timer already set; 0 for none. */
  wokenAtMs: number
  status: 'waiting' | 'building' | 'done'
  /** What the host was asked to build. */
  plan: { readonly fields: ConsensusFields; readonly justification: Justification } | undefined
}

/** Everything the machine of one epoch remembers. Changed only by its own rules. */
export interface MachineState {
  readonly config: MachineConfig
  readonly quorum: Quorum
  readonly leaders: readonly number[]
  /** Time of the event in hand. */
  nowMs: number
  view: number
  finalView: number
  finalCertificate: Certificate | undefined
  /** Rounds above finalView. */
  readonly rounds: Map<number, Round>
  /** Those that the event in hand made final: their votes are remembered elsewhere. */
  readonly closed: Round[]
  readonly tree: BlockTree
  /** Certified final, waiting for blocks or their validation. */
  uncommitted: { readonly hash: Hex; readonly certificate: Certificate } | undefined
  /** Finality of the tree's head; undefined before the epoch's first commit. */
  committed: Certificate | undefined
  /** Steps of the committed chain in views above `linksAbove`, oldest first: they prove a fork. */
  readonly finalLinks: ChainLink[]
  linksAbove: number
  /** The epoch's last block is committed. */
  finished: boolean
  halted: boolean
  sawDoppelganger: boolean
  /** When the current view's leader may propose, and when it is given up. */
  leaderFromMs: number
  skipAtMs: number
  /** Before this the current view is not skipped, whatever happens in it. */
  heldUntilMs: number
  duty: LeaderDuty | undefined
  /** Re-broadcasts in the current view; part of the jitter. */
  standstills: number
  fetchTimerSet: boolean
  /** Height already reported as out of reach. */
  behindHeight: number
  readonly answeredAtMs: Map<PeerName, number>
  /** Justifications of re-proposals of the epoch's last block by view. */
  readonly reproposals: Map<number, Justification>
  effects: ConsensusEffect[]
}

export function createMachine(config: MachineConfig): MachineState {
  const { setup, head, self } = config
  assert(setup.epoch >= 1, 'epochs count from 1')
  assert(setup.epoch === 1 || setup.start.certificate, 'a later epoch starts at a certified block')
  assert(head.header.height < setup.lastHeight, 'the epoch is not over')
  assert(self === undefined || self < setup.validators.length, 'own index is in the set')
  const inEpoch = head.hash !== setup.start.hash
  assert(!inEpoch || head.certificate, 'a committed block of the epoch is certified')
  const finalCertificate = inEpoch ? head.certificate : undefined
  return {
    config,
    quorum: quorumOf(setup.validators),
    leaders: leaderSchedule(setup.validators, setup.start.hash, setup.epoch),
    nowMs: 0,
    view: 0,
    finalView: finalCertificate?.statement.view ?? 0,
    finalCertificate,
    rounds: new Map(),
    closed: [],
    tree: createBlockTree(setup, head),
    uncommitted: undefined,
    committed: finalCertificate,
    finalLinks: [],
    linksAbove: finalCertificate?.statement.view ?? 0,
    finished: false,
    halted: false,
    sawDoppelganger: false,
    leaderFromMs: 0,
    skipAtMs: 0,
    heldUntilMs: 0,
    duty: undefined,
    standstills: 0,
    fetchTimerSet: false,
    behindHeight: 0,
    answeredAtMs: new Map(),
    reproposals: new Map(),
    effects: [],
  }
}

export function leaderOf(state: MachineState, view: number): number {
  return state.leaders[view % state.leaders.length] as number
}

/** The round of a view above the last final one, made when first needed. */
export function roundAt(state: MachineState, view: number): Round {
  assert(view > state.finalView, 'rounds are kept above the last final view')
  let round = state.rounds.get(view)
  if (!round) {
    round = createRound(view)
    state.rounds.set(view, round)
  }
  return round
}

/** Forgets the rounds up to a view. */
export function closeRounds(state: MachineState, throughView: number): void {
  for (const [view, round] of state.rounds) {
    if (view > throughView) continue
    state.closed.push(round)
    state.rounds.delete(view)
  }
}

/** The certificate already held for a statement, if any. */
export function heldCertificate(
  state: MachineState,
  { kind, view }: Statement,
): Certificate | undefined {
  if (kind === VoteKind.finalize) {
    return view === state.finalView ? state.finalCertificate : undefined
  }
  const round = state.rounds.get(view)
  return kind === VoteKind.notarize ? round?.notarized : round?.nullified
}

export function emit(state: MachineState, effect: ConsensusEffect): void {
  state.effects.push(effect)
}
