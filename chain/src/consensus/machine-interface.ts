import type { Hex } from '../bytes/hex.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type {
  Certificate,
  Header,
  Justification,
  Statement,
  Vote,
} from '../types/consensus-objects.ts'

/** One member of an epoch's validator set; its index is its place in the list. */
export interface EpochValidator {
  /** 33-byte compressed consensus key. */
  readonly publicKey: Uint8Array
  /** u32, at least 1. */
  readonly weight: number
}

/** A final block with the certificate that made it so; only genesis has none. */
export interface FinalBlock {
  readonly hash: Hex
  readonly header: Header
  readonly certificate: Certificate | undefined
}

/** All that is fixed for an epoch. */
export interface EpochSetup {
  readonly epoch: number
  readonly validators: readonly EpochValidator[]
  /** The set that signed the certificate of `start`; empty in the first epoch. */
  readonly previousValidators: readonly EpochValidator[]
  /** Last block of the previous epoch (genesis for epoch 1): the parent at view 0. */
  readonly start: FinalBlock
  /** Height of the epoch's last block, its checkpoint. */
  readonly lastHeight: number
}

/** The parameters that pace the machine; all in milliseconds but the growth (1/100). */
export type ConsensusTiming = Pick<
  NetworkParams,
  | 'blockIntervalMs'
  | 'skipTimeoutMs'
  | 'skipTimeoutGrowthPercent'
  | 'skipTimeoutCapMs'
  | 'rebroadcastMs'
  | 'clockAheadMs'
  | 'clockBehindMs'
>

/** Pure functions the machine is given, so that a simulation can use cheap ones. */
export interface VoteVerifier {
  verify(statement: Statement, publicKey: Uint8Array, signature: Uint8Array): boolean
}

export interface ConsensusCrypto extends VoteVerifier {
  /** Called only after every voting rule allowed the statement. */
  sign(statement: Statement): Uint8Array
  /** Block hash: hash_tree_root of the header. */
  hashHeader(header: Header): Uint8Array
  /** hash_tree_root of the justification. */
  hashJustification(justification: Justification): Uint8Array
}

/** The fields of a header that consensus decides; the host fills in all others. */
export type ConsensusFields = Pick<
  Header,
  'epoch' | 'view' | 'height' | 'timeMs' | 'parentHash' | 'parentView' | 'justHash' | 'proposer'
>

/** Standstill message: what a peer needs to get from where it is to where the sender is. */
export interface Bundle {
  readonly epoch: number
  /** The sender's current view; it has left all lower ones. */
  readonly view: number
  /** Newest view whose finality the sender knows; 0 at the start of the epoch. */
  readonly finalView: number
  /** The finality certificate of finalView first, then others from the lowest view on. */
  readonly certificates: readonly Certificate[]
  /** The sender's own votes above finalView. */
  readonly votes: readonly Vote[]
}

export interface Proposal {
  readonly header: Header
  readonly justification: Justification
  /** The leader's notarize vote; its view is above the header's in a re-proposal. */
  readonly leaderVote: Vote
}

export type ConsensusMessage =
  | { readonly type: 'proposal'; readonly proposal: Proposal }
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'certificate'; readonly certificate: Certificate }
  | { readonly type: 'bundle'; readonly bundle: Bundle }

/** A block without its body, which stays with the driver. */
export interface JustifiedBlock {
  readonly hash: Hex
  readonly header: Header
  readonly justification: Justification
}

/** Name of a peer in the transport; opaque here. */
export type PeerName = string

/** What the host found by executing a block. */
export type BlockVerdict =
  /** Every rule holds: it may be notarized. */
  | 'valid'
  /** Every rule holds, but this node's own view of the world says not to vote for it. */
  | 'refused'
  /** Breaks a rule. */
  | 'invalid'

export type TimerName = 'propose' | 'recheck' | 'skip' | 'standstill' | 'fetch'

/** What a restart read back from the log. */
export type LogRecord =
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'certificate'; readonly certificate: Certificate }
  | { readonly type: 'block'; readonly block: JustifiedBlock }
  /** The leader's reason to propose the epoch's last block again in a later view. */
  | { readonly type: 'reproposal'; readonly view: number; readonly justification: Justification }

export type ConsensusEvent = { readonly nowMs: number } & (
  | { readonly type: 'message'; readonly from: PeerName; readonly message: ConsensusMessage }
  | { readonly type: 'timer'; readonly timer: TimerName; readonly view: number }
  /** Answer to buildBlock: the complete header. */
  | { readonly type: 'blockBuilt'; readonly view: number; readonly header: Header }
  | { readonly type: 'blockNotBuilt'; readonly view: number }
  | { readonly type: 'blockValidated'; readonly hash: Hex; readonly verdict: BlockVerdict }
  /** Block sync committed blocks of this epoch; the last one carries its certificate. */
  | { readonly type: 'headMoved'; readonly head: FinalBlock }
  /** Answer to fetchBlock; the body stays with the driver. */
  | {
      readonly type: 'blockFetched'
      readonly header: Header
      readonly justification: Justification
    }
)

/** In the order in which they leave the machine, each complete before the next one starts. */
export type ConsensusEffect =
  /** Durable before the next effect if it is a vote; a block or certificate rides on that sync. */
  | { readonly type: 'persist'; readonly record: LogRecord }
  | { readonly type: 'broadcast'; readonly message: ConsensusMessage }
  | { readonly type: 'sendTo'; readonly peer: PeerName; readonly message: ConsensusMessage }
  | {
      readonly type: 'setTimer'
      readonly timer: TimerName
      readonly view: number
      readonly atMs: number
    }
  /** Its parent is committed or was answered `valid` or `refused` before. */
  | { readonly type: 'validateBlock'; readonly block: JustifiedBlock }
  | {
      readonly type: 'buildBlock'
      readonly fields: ConsensusFields
      readonly justification: Justification
    }
  /** `attempt` counts from 0, so that each one can ask another peer. */
  | { readonly type: 'fetchBlock'; readonly hash: Hex; readonly attempt: number }
  /** Makes `blocks`, oldest first, final in one atomic step; all of them were validated. */
  | {
      readonly type: 'commit'
      readonly blocks: readonly JustifiedBlock[]
      readonly certificate: Certificate
      readonly reproposals: readonly Reproposal[]
    }
  | { readonly type: 'evidence'; readonly first: Vote; readonly second: Vote }
  /** Too far behind to fetch block by block: `height` is certified final. */
  | { readonly type: 'behind'; readonly height: number; readonly certificate: Certificate }
  /** A valid vote of our own key that we did not sign: this machine signs no more. */
  | { readonly type: 'doppelganger'; readonly vote: Vote }
  /**
   * Two finality certificates contradict each other: `certificate` and `ours`. `guilty` are the
   * validators shown to have signed both sides; their votes left as evidence before. Without
   * `ours` a final block breaks the rules.
   */
  | {
      readonly type: 'halt'
      readonly reason: string
      readonly certificate: Certificate
      readonly ours: Certificate | undefined
      readonly guilty: readonly number[]
    }

/** Why the last block of an epoch could be proposed again in `view`; kept for accountability. */
export interface Reproposal {
  readonly view: number
  readonly justification: Justification
}
