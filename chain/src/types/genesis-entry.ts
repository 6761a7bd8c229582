import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { byteList, Bytes20, PublicKeyBytes, U16, U8, Units64 } from './primitives.ts'

const NETWORK_BYTES_MAX = 32

/** What one operator puts into a genesis, before it is signed. */
export const GenesisEntryType = new ContainerType(
  {
    version: U16,
    /** Name of the preset, ASCII: an entry for one network is none for another. */
    network: byteList(NETWORK_BYTES_MAX),
    /** NodeRole.validator or NodeRole.bootstrap. */
    role: U8,
    owner: PublicKeyBytes,
    payout: Bytes20,
    nodeKey: PublicKeyBytes,
    /** Zero key where the node does not validate. */
    consensusKey: PublicKeyBytes,
    /** P-256 key of its memo anchors; zero key where the node does not validate. */
    mainKey: PublicKeyBytes,
    /** Units bonded on the owner's account beside its allocation; 0 without validating. */
    bond: Units64,
  },
  { typeName: 'GenesisEntry' },
)
export type GenesisEntry = ValueOf<typeof GenesisEntryType>
