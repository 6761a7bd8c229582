import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { CertificateType, HeaderType, ReproposalsType } from './consensus-objects.ts'
import { Bytes32 } from './primitives.ts'
import { ValidatorSetType } from './validator-set.ts'

/** A longer proof is served without the links of its re-proposals, which can be many. */
export const EPOCH_PROOF_BYTES_MAX = 512 * 1024

/**
 * What leads from one epoch's checkpoint to the next one: whoever trusts the validator set of
 * epoch e checks with it that e ended in this header, and knows the set of e + 1 from then on.
 */
export const EpochProofType = new ContainerType(
  {
    /** Of the epoch's last block, its checkpoint. */
    header: HeaderType,
    /** Its finality, under the set of its epoch. */
    certificate: CertificateType,
    /** Why it could be proposed again, where that happened: for accountability. */
    reproposals: ReproposalsType,
    /** Roots that lead from the history at the checkpoint before to header.historyRoot. */
    history: new ListCompositeType(Bytes32, 64),
    /** The set of the next epoch: header.nextValidatorsHash. */
    nextValidators: ValidatorSetType,
  },
  { typeName: 'EpochProof' },
)
export type EpochProof = ValueOf<typeof EpochProofType>
