import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { ValidatorSet } from '../types/validator-set.ts'

/** The validators that decide, in index order. The set is that of genesis in every epoch. */
export function validatorSet(draft: LedgerDraft): ValidatorSet {
  return Array.from({ length: draft.validators.count }, (_, index) => {
    const validator = draft.validators.get(index)
    assert(validator !== undefined, 'validators are dense')
    return { publicKey: validator.consensusKey, weight: validator.power }
  })
}
