import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { verifySignature } from '../bytes/signature.ts'
import { BASIS_POINTS } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_ADDRESS, ZERO_SIGNATURE } from '../types/primitives.ts'
import type { RotateKeys } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { checkLeaving } from './next-set.ts'
import { possessionDigest } from './register.ts'
import { ownValidator } from './stake.ts'
import { validatorOfKey } from './validator-set.ts'

/**
 * The owner replaces a validator's consensus key and its terms. The sets of the running and the
 * next epoch are fixed with the old key, so the new one votes after the next epoch (PROTOCOL 3);
 * commission changes then too, so that delegators can leave before. Keys never serve two
 * validators at once.
 */
export function applyRotateKeys(
  draft: LedgerDraft,
  rotate: RotateKeys,
  context: TransactionContext,
): Result<undefined> {
  const { validator: index, consensusKey, mainKey, payout, commission } = rotate
  const own = ownValidator(draft, index, context)
  if (!own.ok) return own
  if (bytesEqual(payout, ZERO_ADDRESS)) {
    return fault('ADDRESS_ZERO', 'nobody holds the key of the zero address')
  }
  if (BigInt(commission) > BASIS_POINTS) {
    return fault('COMMISSION_RANGE', 'a commission is at most everything', { commission })
  }
  const keyed = checkKey(draft, rotate, own.value.consensusKey, context)
  if (!keyed.ok) return keyed
  draft.validators.set(index, {
    ...own.value,
    consensusKey,
    mainKey,
    payout,
    commissionNext: commission,
    commissionAsked: context.epoch,
  })
  // To those who know the old key, its weight leaves.
  return checkLeaving(draft)
}

function checkKey(
  draft: LedgerDraft,
  { validator: index, consensusKey, consensusProof }: RotateKeys,
  current: Uint8Array,
  { senderAddress }: TransactionContext,
): Result<undefined> {
  if (bytesEqual(consensusKey, current)) {
    return bytesEqual(consensusProof, ZERO_SIGNATURE)
      ? ok()
      : fault('POSSESSION_PROOF', 'a key that stays needs no proof: it must be zero')
  }
  const holder = validatorOfKey(draft, consensusKey)
  // Its own key of the running epoch may come back before it was ever replaced.
  if (holder !== undefined && holder !== index) {
    return fault('CONSENSUS_KEY_TAKEN', 'this consensus key is of another validator')
  }
  const digest = possessionDigest(draft.chainId, senderAddress, consensusKey)
  return verifySignature(consensusProof, digest, consensusKey)
    ? ok()
    : fault('POSSESSION_PROOF', "the consensus key's proof of possession does not verify")
}
