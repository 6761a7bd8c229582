import type { Result } from '../bytes/result.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import type { SideAuxPow } from '../elastos/side-aux-pow.ts'

/** A checkpoint that an arbiter may anchor. */
export interface AuxTemplate {
  readonly hash: InternalHash
  readonly previousHash: InternalHash
  /** Compact bits that the proof is held against. */
  readonly bits: number
}

/** A withdrawal as the main chain is to pay it; amounts in sela. */
export interface ArbiterWithdrawal {
  readonly id: InternalHash
  readonly address: string
  readonly output: bigint
  readonly amount: bigint
}

/** What became of a main-chain deposit. */
export type DepositStatus =
  | { readonly state: 'credited'; readonly sideTransaction: InternalHash }
  /** Will never be credited: the main chain refunds it. */
  | { readonly state: 'failed' }
  | { readonly state: 'waiting' }

export interface ArbiterBlock {
  readonly hash: InternalHash
  readonly previousHash: InternalHash
  readonly height: number
  /** Seconds since 1970. */
  readonly time: number
}

/** What a submitted proof came to. */
export type SubmitOutcome = 'taken' | 'known' | 'main-header-unknown'

/**
 * The side chain as an Arbiter sees it: the chain of checkpoints, whose heights are epochs
 * (PROTOCOL 9). Hashes are in internal order.
 */
export interface ArbiterChain {
  /** Binds the chain: also the code of its X address. */
  readonly genesisHash: InternalHash
  readonly bestHeight: () => number
  /** The newest sealed checkpoint that waits for an anchor; undefined if there is none. */
  readonly template: () => AuxTemplate | undefined
  /** Checks a proof for a checkpoint and keeps it for the next proposers. */
  readonly submit: (checkpoint: InternalHash, proof: SideAuxPow) => Result<SubmitOutcome>
  readonly block: (height: number) => ArbiterBlock | undefined
  readonly blockByHash: (hash: InternalHash) => ArbiterBlock | undefined
  readonly deposit: (mainTransaction: InternalHash) => Promise<DepositStatus>
  readonly isCredited: (mainTransaction: InternalHash) => boolean
  readonly isFailed: (mainTransaction: InternalHash) => boolean
  readonly failedDeposits: (height: number) => readonly InternalHash[]
  /** Withdrawals that the checkpoint of this height contains. */
  readonly withdrawals: (height: number) => readonly ArbiterWithdrawal[]
  readonly withdrawal: (id: InternalHash) => ArbiterWithdrawal | undefined
  /** Its units came back to its sender. */
  readonly isReturned: (id: InternalHash) => boolean
}
