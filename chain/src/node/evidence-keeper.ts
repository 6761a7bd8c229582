import { fault, ok, type Result } from '../bytes/result.ts'
import { checkNews } from '../rules/evidence.ts'
import { setMembers } from '../rules/validator-set.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { VALIDATORS_MAX, type Vote } from '../types/consensus-objects.ts'
import type { Evidence } from '../types/transactions.ts'

/** One for each validator of the sets of two epochs: more cannot be news at the same time. */
const KEPT_MAX = 2 * VALIDATORS_MAX

/**
 * Evidence that no block has taken up yet, one per validator and epoch. Proposers put it in front
 * of their blocks; it goes when the ledger knows of it or it is too old.
 */
export class EvidenceKeeper {
  readonly #ledger: LedgerDraft
  readonly #kept = new Map<string, Evidence>()

  /** `ledger` is the final one. */
  constructor(ledger: LedgerDraft) {
    this.#ledger = ledger
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
    return true
  }

  /** What a block on `parent` can still take up. */
  forBlockOn(parent: LedgerDraft): Evidence[] {
    return [...this.#kept.values()].filter((evidence) => checkNews(parent, evidence).ok)
  }

  afterBlock(): void {
    for (const [key, evidence] of this.#kept) {
      if (!checkNews(this.#ledger, evidence).ok) this.#kept.delete(key)
    }
  }
}

function keyOf({ validator, first }: Evidence): string {
  return `${validator}/${first.statement.epoch}`
}
