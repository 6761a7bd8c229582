import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { contradicts, isWellFormed } from '../types/contradiction.ts'
import { NONE, type SetMember } from '../types/records.ts'
import type { Evidence } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { EXIT_EPOCHS, isReleased } from './release-stake.ts'
import { isStatementSigned } from './signed-statement.ts'
import { recordGuilt } from './slashing.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/**
 * Two votes of one validator that no honest one signs (consensus 1.8, E1-E4), both by the key that
 * it had in their epoch. It is jailed and slashed. Accepted until stake that was asked back in
 * that epoch has left unbonding; once per validator, or again for an older epoch, whose stake
 * may meanwhile be on its way out. Cheap checks first, the two signatures last.
 */
export function applyEvidence(
  draft: LedgerDraft,
  evidence: Evidence,
  context: TransactionContext,
): Result<undefined> {
  const member = checkEvidence(draft, evidence)
  if (!member.ok) return member
  recordGuilt(draft, member.value, evidence.first.statement.epoch, context)
  return ok()
}

/** Whether the ledger would take this evidence, signatures included, and the accused's key there. */
export function checkEvidence(draft: LedgerDraft, evidence: Evidence): Result<SetMember> {
  const { first, second } = evidence
  const isPair = isWellFormed(first.statement) && isWellFormed(second.statement)
  if (!isPair || !contradicts(first.statement, second.statement)) {
    return fault('EVIDENCE_CONSISTENT', 'an honest validator may sign both statements')
  }
  const member = checkNews(draft, evidence)
  if (!member.ok) return member
  const { publicKey } = member.value
  if (![first, second].every((each) => isStatementSigned(draft.chainId, each, publicKey))) {
    return fault('EVIDENCE_SIGNATURE', 'a statement is not signed with the key of that epoch')
  }
  return member
}

/** Whether the ledger would still take evidence of this validator and epoch, and its key there. */
export function checkNews(
  draft: LedgerDraft,
  { validator, first }: Pick<Evidence, 'validator' | 'first'>,
): Result<SetMember> {
  const { epoch } = first.statement
  const members = setMembers(draft, epoch)
  const member = members?.find((each) => each.validator === validator)
  if (member === undefined || epoch === 0) {
    return fault('EVIDENCE_VALIDATOR', 'the validator is not in the set of that epoch', { epoch })
  }
  const { guiltEpoch } = validatorAt(draft, validator)
  if (guiltEpoch !== NONE && guiltEpoch <= epoch) {
    return fault('EVIDENCE_KNOWN', 'the validator is known to be guilty', { guiltEpoch })
  }
  if (isReleased(draft, epoch + EXIT_EPOCHS)) {
    return fault('EVIDENCE_OLD', 'the stake of that epoch has left unbonding', { epoch })
  }
  return ok(member)
}
