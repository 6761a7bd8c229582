import { setTimeout } from 'node:timers/promises'
import type { SubmittedAnchors } from '../anchor/submitted-anchors.ts'
import type { MainChainFollower } from '../follower/follower.ts'
import type { BlockInputs } from '../manager/chain-manager.ts'
import type { FullNodeOptions } from './full-node-options.ts'
import { bringsNewerHeader, mainChainObjection, systemTransactions } from './system-lane.ts'
import type { TransactionEntry } from './transaction-entry.ts'

/** A vote waits so much of a skip timeout for a main header that somebody else has seen. */
const LOOKS_PER_SKIP = 4

export interface BlockInputSources {
  readonly follower: MainChainFollower
  readonly transactions: TransactionEntry
  readonly submittedAnchors: SubmittedAnchors
}

/** What a full node puts into blocks, and what it holds against those of others. */
export function createBlockInputs(
  { genesis, mainConfirms }: Pick<FullNodeOptions, 'genesis' | 'mainConfirms'>,
  { follower, transactions, submittedAnchors }: BlockInputSources,
): BlockInputs {
  return {
    systemLane: (parent) =>
      systemTransactions(parent, follower, {
        evidence: transactions.evidence.forBlockOn(parent),
        lateVotes: transactions.votes.forBlockOn(parent),
        submitted: submittedAnchors,
      }),
    waiting: (parent) => transactions.waiting(parent),
    isVerified: (root) => transactions.isVerified(root),
    async objection(header, included, parent) {
      // With Confirms a header that we have not read is refused: look for it first.
      if (mainConfirms && bringsNewerHeader(included, follower)) {
        await Promise.race([
          follower.poll().catch(() => undefined),
          setTimeout(genesis.params.skipTimeoutMs / LOOKS_PER_SKIP, undefined, { ref: false }),
        ])
      }
      return mainChainObjection(header, included, parent, follower)
    },
  }
}
