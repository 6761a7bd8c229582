import { fault, ok, type Result } from '../bytes/result.ts'
import { checkEvidence, checkNews } from '../rules/evidence.ts'
import { setMembers } from '../rules/validator-set.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { VALIDATORS_MAX, type Vote } from '../types/consensus-objects.ts'
import type { Evidence } from '../types/transactions.ts'

/** One for each validator of the sets of two epochs: more cannot be news at the same time. */
const KEPT_MAX = 2 * VALIDATORS_MAX

/** Where kept evidence survives a restart. */
export interface EvidenceShelf {
  /** At most `max` pieces, of which nothing is checked yet. */
  read(max: number): Evidence[]
  /** Instead of what it held. */
  replace(all: readonly Evidence[]): void
}

export interface EvidenceKeeperOptions {
  /** Absent: kept in memory only. */
  readonly shelf?: EvidenceShelf | undefined
  /** The shelf could not be written: what is kept is kept in memory meanwhile. */
  readonly onProblem?: (error: unknown) => void
}

/**
 * Evidence that no block has taken up yet, one per validator and epoch. Proposers put it in front
 * of their blocks; it goes when the ledger knows of it or it is too old.
 */
export class EvidenceKeeper {
  readonly #ledger: LedgerDraft
  readonly #options: EvidenceKeeperOptions
  readonly #kept = new Map<string, Evidence>()
  /** From the shelf, of epochs that a ledger which begins anew does not reach yet. */
  #unjudged: Evidence[] = []

  /** `ledger` is the final one. */
  constructor(ledger: LedgerDraft, options: EvidenceKeeperOptions = {}) {
    this.#ledger = ledger
    this.#options = options
    this.#unjudged = options.shelf?.read(KEPT_MAX) ?? []
    this.#judge()
  }

  /** The evidence that two votes of one validator are: votes name it by its place in the set. */
  evidenceOf(first: Vote, second: Vote): Result<Evidence> {
    const members = setMembers(this.#ledger, first.statement.epoch)
    const validator = members?.[first.validator]?.validator
    if (validator === undefined) {
      return fault('EVIDENCE_VALIDATOR', 'the set of the vote is not known here')
    }
    const signed = ({ statement, signature }: Vote) => ({ statement, signature })
    return ok({ validator, first: signed(first), second: signed(second) })
  }

  /** Whether evidence would be kept if it is genuine: asked before its signatures are checked. */
  isNews(evidence: Evidence): boolean {
    if (this.#kept.has(keyOf(evidence)) || this.#kept.size >= KEPT_MAX) return false
    return checkNews(this.#ledger, evidence).ok
  }

  /** Keeps checked evidence; false if it is no news. */
  keep(evidence: Evidence): boolean {
    if (!this.isNews(evidence)) return false
    this.#kept.set(keyOf(evidence), evidence)
    this.#shelve()
    return true
  }

  /** All that waits for a block. */
  get waiting(): readonly Evidence[] {
    return [...this.#kept.values()]
  }

  /** What a block on `parent` can still take up. */
  forBlockOn(parent: LedgerDraft): Evidence[] {
    return this.waiting.filter((evidence) => checkNews(parent, evidence).ok)
  }

  afterBlock(): void {
    const before = this.#kept.size
    for (const [key, evidence] of this.#kept) {
      if (!checkNews(this.#ledger, evidence).ok) this.#kept.delete(key)
    }
    if (this.#kept.size < before) this.#shelve()
    if (this.#unjudged.length > 0) this.#judge()
  }

  /** Takes up what the ledger can judge by now, signatures last; what is false or old goes. */
  #judge(): void {
    const before = this.#unjudged
    this.#unjudged = before.filter(({ first }) => this.#isAhead(first.statement.epoch))
    if (this.#unjudged.length === before.length) return
    const later = new Set(this.#unjudged)
    for (const evidence of before) {
      if (later.has(evidence) || !this.isNews(evidence)) continue
      if (checkEvidence(this.#ledger, evidence).ok) this.#kept.set(keyOf(evidence), evidence)
    }
    this.#shelve()
  }

  #isAhead(epoch: number): boolean {
    return epoch > this.#ledger.globals().epoch && setMembers(this.#ledger, epoch) === undefined
  }

  #shelve(): void {
    const { shelf, onProblem } = this.#options
    try {
      shelf?.replace([...this.#kept.values(), ...this.#unjudged].slice(0, KEPT_MAX))
    } catch (error) {
      onProblem?.(error)
    }
  }
}

function keyOf({ validator, first }: Evidence): string {
  return `${validator}/${first.statement.epoch}`
}
