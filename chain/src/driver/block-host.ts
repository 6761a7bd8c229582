import type { Fault } from '../bytes/result.ts'
import type { Hex } from '../bytes/hex.ts'
import type {
  ConsensusFields,
  EpochSetup,
  FinalBlock,
  PeerName,
  Reproposal,
} from '../consensus/machine-interface.ts'
import type { Certificate, Header, Justification, Vote } from '../types/consensus-objects.ts'

/** A block with what goes with it. */
export interface BlockEnvelope {
  /** hash_tree_root of the header, lower-case hex. */
  readonly hash: Hex
  readonly header: Header
  /** Its root is header.justHash; parent[0].signers are the participants of the parent's vote. */
  readonly justification: Justification
  /** Serialized BlockBodyType, at most BLOCK_BODY_BYTES_MAX; untrusted until validated. */
  readonly body: Uint8Array
}

export interface BuildRequest {
  /** Fields that consensus decides: the built header must carry exactly these. */
  readonly fields: ConsensusFields
  readonly parentHash: Hex
  readonly justification: Justification
}

export interface BuiltBlock {
  readonly header: Header
  readonly body: Uint8Array
}

export type Validation =
  | { readonly verdict: 'valid' }
  /** Follows the rules, but this node will not vote for it (e.g. its main node contradicts it). */
  | { readonly verdict: 'refused'; readonly fault: Fault }
  /** Breaks a rule. The body of an honest block never does. */
  | { readonly verdict: 'invalid'; readonly fault: Fault }

/** One finality decision. */
export interface FinalCommit {
  /** Oldest first; the first one's parent is the last committed block. All were validated. */
  readonly blocks: readonly BlockEnvelope[]
  /**
   * Finality of the last block. Its view equals that block's header.view, except for the last
   * block of an epoch, which may have become final in a later view.
   */
  readonly certificate: Certificate
  /** Links from header.view up to certificate view of a re-proposed block, oldest first. */
  readonly reproposals: readonly Reproposal[]
}

/** A sign that others are final where we cannot follow block by block. */
export interface BehindHint {
  /** Who said so; undefined if it follows from what several said. */
  readonly peer: PeerName | undefined
  /** Epoch that the peer is in. */
  readonly epoch: number
  /** Final height there, if it was proven by a certificate of our own epoch; else undefined. */
  readonly height: number | undefined
}

/** Consensus came to a state that only an operator can resolve. */
export interface HaltReason {
  readonly code:
    | 'FORK_PROOF'
    | 'FINAL_INVALID'
    | 'DOPPELGANGER'
    | 'DISK_FULL'
    | 'DRIVER_FAILED'
    | 'VERSION_UNKNOWN'
  readonly message: string
  readonly cause?: unknown
  /** FORK_PROOF: consensus keys shown to have signed both sides, hex. */
  readonly guilty?: readonly Hex[]
}

/**
 * What the driver needs of the node: the manager of the chain implements it. The driver never
 * overlaps two calls of the promise-returning methods, except readBlock, and calls them in the
 * order that consensus decided. A rejected promise stops the driver (onHalt, DRIVER_FAILED).
 */
export interface BlockHost {
  /** Newest committed block with its finality certificate; genesis without one. */
  head(): Promise<FinalBlock>
  /** Set and bounds of an epoch; asked for epochs up to epochOfHeight(head height + 1). */
  epochSetup(epoch: number): Promise<EpochSetup>
  /**
   * A block on `parentHash`, which is the head or was validated before. Undefined: cannot build
   * now; others will skip this view. Should answer within half the block interval.
   */
  buildBlock(request: BuildRequest): Promise<BuiltBlock | undefined>
  /**
   * True iff header.txRoot commits to `body`. Pure and synchronous; asked of bytes from any peer
   * before they count as that block. Otherwise a peer could pair an honest header with another body
   * and have an honest block judged invalid.
   */
  isBodyOf(header: Header, body: Uint8Array): boolean
  /**
   * Checks and executes a block on its parent, which is the head or was validated before. The
   * driver has checked hash, justification, epoch, view, height, proposer and time against
   * the parent; the host checks version, chain id, all roots and hashes, and the body. Keeps the
   * outcome for children and for commitBlocks. May be asked again for a block it knows: then it
   * says anew whether this node refuses it.
   * A block that buildBlock answered is not validated again.
   */
  validateBlock(block: BlockEnvelope): Promise<Validation>
  /** One atomic synced write of blocks, state, certificate (W4). Drops drafts not on the chain. */
  commitBlocks(commit: FinalCommit): Promise<void>
  /** A committed block for a peer that asks; undefined if unknown. May overlap other calls. */
  readBlock(hash: Hex): Promise<BlockEnvelope | undefined>
  /**
   * Synchronous notice, at most once a second per peer. Not proven when height is undefined:
   * download and verify first, then call advanceTo.
   */
  onBehind(hint: BehindHint): void
  /**
   * A vote that came from a peer, or an own one after its sync. Unverified, of any view, also after
   * its block is final: who counts participation wants the late ones. Cheap and synchronous. False
   * where the host found that its validator did not sign it: the sender is not heard for a while.
   */
  onVote(vote: Vote): boolean
  /** Two contradicting votes of one validator in one view (E1-E4). */
  onEvidence(first: Vote, second: Vote): void
  /** The driver has stopped. */
  onHalt(reason: HaltReason): void
}
