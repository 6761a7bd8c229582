import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { bytesEqual } from '../bytes/hex.ts'
import { type Header, VALIDATORS_MAX } from './consensus-objects.ts'
import { PublicKeyBytes, U32 } from './primitives.ts'

/** Who decides in an epoch: consensus keys with their weights, in index order. */
export const ValidatorSetType = new ListCompositeType(
  new ContainerType({ publicKey: PublicKeyBytes, weight: U32 }),
  VALIDATORS_MAX,
)
export type ValidatorSet = ValueOf<typeof ValidatorSetType>

/** Header fields validatorsHash and nextValidatorsHash. */
export function validatorSetHash(set: ValidatorSet): Uint8Array {
  return ValidatorSetType.hashTreeRoot(set)
}

/**
 * Whether a header names the sets that its parent allows: the same two within an epoch, and in
 * an epoch's first block the one that its parent named as next (consensus 1.6). A chain of
 * headers so fixes every set one epoch before it votes; who holds the preimage of
 * nextValidatorsHash needs nothing else to check the next epoch's certificates.
 */
export function isSetSuccessor(
  parent: Pick<Header, 'epoch' | 'validatorsHash' | 'nextValidatorsHash'>,
  header: Pick<Header, 'epoch' | 'validatorsHash' | 'nextValidatorsHash'>,
): boolean {
  if (header.epoch === parent.epoch + 1) {
    return bytesEqual(header.validatorsHash, parent.nextValidatorsHash)
  }
  return (
    header.epoch === parent.epoch &&
    bytesEqual(header.validatorsHash, parent.validatorsHash) &&
    bytesEqual(header.nextValidatorsHash, parent.nextValidatorsHash)
  )
}
