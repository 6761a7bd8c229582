import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { SetMember, Validator } from '../types/records.ts'
import { type ValidatorSet, validatorSetHash } from '../types/validator-set.ts'

/**
 * The set of an epoch in index order, as the ledger has it on record; undefined where it is not
 * fixed yet. The record of epoch e - 1 keeps the set of e, so every past set stays known and, at
 * any time, those of the running and of the next epoch (consensus 1.6). Before the first epoch
 * stand the validators of genesis.
 */
export function setMembers(draft: LedgerDraft, epoch: number): readonly SetMember[] | undefined {
  return draft.epochs.get(Math.max(0, epoch - 1))?.nextValidators
}

/** Keys and weights of an epoch's set: what votes are checked against and headers commit to. */
export function validatorSetOf(draft: LedgerDraft, epoch: number): ValidatorSet | undefined {
  return setMembers(draft, epoch)?.map(({ publicKey, weight }) => ({ publicKey, weight }))
}

/** A set stands in many headers and never changes: each is hashed once. */
const hashes = new WeakMap<readonly SetMember[], Uint8Array>()

/** Header fields validatorsHash and nextValidatorsHash of a block in an epoch. */
export function setHashes(draft: LedgerDraft, epoch: number) {
  return {
    validatorsHash: hashOf(setMembers(draft, epoch)),
    nextValidatorsHash: hashOf(setMembers(draft, epoch + 1)),
  }
}

function hashOf(members: readonly SetMember[] | undefined): Uint8Array {
  assert(members !== undefined, 'the sets of the running and the next epoch are fixed')
  let hash = hashes.get(members)
  if (!hash) {
    hash = validatorSetHash(members.map(({ publicKey, weight }) => ({ publicKey, weight })))
    hashes.set(members, hash)
  }
  return hash
}

/** The record of a validator; `index` comes from a set or from the table itself. */
export function validatorAt(draft: LedgerDraft, index: number): Readonly<Validator> {
  const validator = draft.validators.get(index)
  assert(validator !== undefined, 'an index names no validator')
  return validator
}

/**
 * Record index of the validator that votes with a key, now or in the running or the next epoch;
 * undefined where the key is free.
 */
export function validatorOfKey(draft: LedgerDraft, publicKey: Uint8Array): number | undefined {
  for (let index = 0; index < draft.validators.count; index++) {
    if (bytesEqual(validatorAt(draft, index).consensusKey, publicKey)) return index
  }
  const { epoch } = draft.globals()
  const members = [epoch, epoch + 1].flatMap((each) => setMembers(draft, each) ?? [])
  return members.find((member) => bytesEqual(member.publicKey, publicKey))?.validator
}
