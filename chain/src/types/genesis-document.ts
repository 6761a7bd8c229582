import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import type { Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { VALIDATORS_MAX } from './consensus-objects.ts'
import { Bytes20, byteList, Count64, PublicKeyBytes, U8, U16, U32, Units64 } from './primitives.ts'
import { MAIN_HEADER_BYTES_MAX } from './transactions.ts'

const ALLOCATIONS_MAX = 65_536
const GENESIS_NODES_MAX = 4096
const PARAMS_BYTES_MAX = 2048
export const GENESIS_BYTES_MAX = 4 * 1024 * 1024

export const AllocationType = new ContainerType({ address: Bytes20, amount: Units64 })
export const GenesisValidatorType = new ContainerType({
  owner: Bytes20,
  payout: Bytes20,
  consensusKey: PublicKeyBytes,
  /** Elastos P-256 public key of its memo anchors; zero if it has none. */
  mainKey: PublicKeyBytes,
  power: U32,
  /** Units bonded on the owner's account, beside its allocation. */
  bond: Units64,
})
export const GenesisNodeType = new ContainerType({
  owner: Bytes20,
  nodeKey: PublicKeyBytes,
  payout: Bytes20,
  roles: U8,
})

/**
 * Everything that makes a network what it is, and nothing that follows from it. Its
 * hash_tree_root is the chain id, so two networks that differ in one parameter never share a
 * signature.
 */
export const GenesisDocumentType = new ContainerType(
  {
    /** Of this layout. */
    version: U16,
    /** Canonical bytes of all parameters (params room). */
    params: byteList(PARAMS_BYTES_MAX),
    timeMs: Count64,
    allocations: new ListCompositeType(AllocationType, ALLOCATIONS_MAX),
    validators: new ListCompositeType(GenesisValidatorType, VALIDATORS_MAX),
    /** Bootstrap nodes that exist from the start. */
    nodes: new ListCompositeType(GenesisNodeType, GENESIS_NODES_MAX),
    /** A recent main-chain header with its AuxPow, raw and trusted; the rest is checked from it. */
    mainCheckpoint: byteList(MAIN_HEADER_BYTES_MAX),
  },
  { typeName: 'GenesisDocument' },
)
export type GenesisDocument = ValueOf<typeof GenesisDocumentType>
export type Allocation = ValueOf<typeof AllocationType>
export type GenesisValidator = ValueOf<typeof GenesisValidatorType>
export type GenesisNode = ValueOf<typeof GenesisNodeType>

export const GENESIS_VERSION = 1

/** chainId32 = hash_tree_root of the genesis document (PROTOCOL 1.2). */
export function chainIdOf(document: GenesisDocument): Uint8Array {
  return GenesisDocumentType.hashTreeRoot(document)
}

export function decodeGenesis(bytes: Uint8Array): Result<GenesisDocument> {
  return decodeCanonical(GenesisDocumentType, bytes, GENESIS_BYTES_MAX)
}
