import { bytesEqual } from '../bytes/hex.ts'
import { missingVotes } from '../rules/recent-votes.ts'
import { isStatementSigned } from '../rules/signed-statement.ts'
import { setMembers } from '../rules/validator-set.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type Vote, VoteKind } from '../types/consensus-objects.ts'
import { LATE_VOTES_MAX, type LateVote } from '../types/transactions.ts'

/** Votes kept of one validator: it can push out only its own. */
const VOTES_PER_VALIDATOR_MAX = 16

/**
 * Votes for blocks that arrived here, one per validator and block, so that our own blocks can show
 * those that a certificate left out. Verified when they come, or anybody could push out others'.
 */
export class VoteKeeper {
  readonly #ledger: LedgerDraft
  readonly #votes = new Map<string, Vote[]>()

  /** `ledger` is the final one. */
  constructor(ledger: LedgerDraft) {
    this.#ledger = ledger
  }

  /** False if it is not signed by the validator that it names. */
  add(vote: Vote): boolean {
    const { kind, epoch, hash } = vote.statement
    if (kind === VoteKind.nullify || epoch + 1 < this.#ledger.globals().epoch) return true
    const members = setMembers(this.#ledger, epoch)
    if (!members) return true
    const member = members[vote.validator]
    if (!member) return false
    const key = `${epoch}/${vote.validator}`
    const kept = this.#votes.get(key) ?? []
    if (kept.some(({ statement }) => bytesEqual(statement.hash, hash))) return true
    if (!isStatementSigned(this.#ledger.chainId, vote, member.publicKey)) return false
    this.#votes.set(key, [...kept, vote].slice(-VOTES_PER_VALIDATOR_MAX))
    return true
  }

  /** What a block on `parent` can bring of them. */
  forBlockOn(parent: LedgerDraft): LateVote[] {
    const late: LateVote[] = []
    for (const { back, validator, epoch, hash } of missingVotes(parent)) {
      const votes = this.#votes.get(`${epoch}/${validator}`)
      const vote = votes?.find(({ statement }) => bytesEqual(statement.hash, hash))
      if (!vote || late.length >= LATE_VOTES_MAX) continue
      const { kind, view } = vote.statement
      late.push({ back, validator, kind, view, signature: vote.signature })
    }
    return late
  }

  /** Validators of an epoch with votes here, and votes of the one that has most. */
  sizes() {
    const counts = [...this.#votes.values()].map((votes) => votes.length)
    return { voters: this.#votes.size, votesOfOne: Math.max(0, ...counts) }
  }

  /** Forgets what no block can bring any more. */
  afterBlock(): void {
    const { epoch: now } = this.#ledger.globals()
    for (const [key, [vote]] of this.#votes) {
      if ((vote?.statement.epoch ?? 0) + 1 < now) this.#votes.delete(key)
    }
  }
}
