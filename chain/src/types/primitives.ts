import {
  ByteListType,
  ByteVectorType,
  UintBigintType,
  UintNumberType,
  BooleanType,
} from '@chainsafe/ssz'

/** SSZ primitives under the names the rest of the protocol uses. Integers are little-endian. */
export const Bool = new BooleanType()
export const U8 = new UintNumberType(1)
export const U16 = new UintNumberType(2)
export const U32 = new UintNumberType(4)
/** Heights, views, milliseconds: u64 on the wire, safe integers in memory. */
export const Count64 = new UintNumberType(8)
/** Money and prices in units (1 IOEX = 10^8 units). */
export const Units64 = new UintBigintType(8)
/** Sums of weights: billed leaves x price. */
export const Weight128 = new UintBigintType(16)
export const Bytes20 = new ByteVectorType(20)
export const Bytes32 = new ByteVectorType(32)
export const PublicKeyBytes = new ByteVectorType(33)
export const SignatureBytes = new ByteVectorType(64)
export const LeafBytes = new ByteVectorType(256)

export const byteList = (maxBytes: number) => new ByteListType(maxBytes)

export const ZERO_HASH = new Uint8Array(32)
export const ZERO_ADDRESS = new Uint8Array(20)
export const ZERO_KEY = new Uint8Array(33)
export const ZERO_SIGNATURE = new Uint8Array(64)

/** 1 IOEX in units. */
export const UNITS_PER_IOEX = 100_000_000n
export const U64_MAX = (1n << 64n) - 1n
/** Leaves of 256 B in a GiB: the divisor of prices per GiB-epoch. */
export const LEAVES_PER_GIB = 1n << 22n
/** KiB in a GiB: the divisor of prices per GiB moved. */
export const KIB_PER_GIB = 1n << 20n
