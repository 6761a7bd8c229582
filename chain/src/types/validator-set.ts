import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { VALIDATORS_MAX } from './consensus-objects.ts'
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
