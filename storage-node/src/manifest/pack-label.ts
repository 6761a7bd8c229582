import { decodeCanonical, fault, ok, type Result } from '@ioex/chain/bytes'
import { ByteVectorType, ContainerType, UintNumberType, type ValueOf } from '@chainsafe/ssz'
import { DEVICE_ID_BYTES } from './manifest.ts'

/**
 * The label of a contract (PROTOCOL 5.5): all that the owner's seed phrase must find on the
 * chain to read the contract's manifest. Sealed it is well below the 512 bytes a label may have.
 */

export const LABEL_VERSION = 1
/** What a contract stores. */
export const LabelKind = { pack: 1 } as const

const U8 = new UintNumberType(1)
const U16 = new UintNumberType(2)
const U32 = new UintNumberType(4)
const Count64 = new UintNumberType(8)

export const PackLabelType = new ContainerType(
  {
    version: U8,
    kind: U8,
    device: new ByteVectorType(DEVICE_ID_BYTES),
    /** As in the manifest. */
    sequence: Count64,
    pack: U16,
    packs: U16,
    k: U8,
    n: U8,
    /** Sealed manifest at the start of the pack. */
    manifestBytes: U32,
    /** The whole pack: with k it gives the geometry. */
    packBytes: U32,
    keySalt: new ByteVectorType(32),
  },
  { typeName: 'PackLabel' },
)
export type PackLabel = ValueOf<typeof PackLabelType>

export function encodeLabel(label: PackLabel): Uint8Array {
  return PackLabelType.serialize(label)
}

/**
 * Decodes an opened label. Faults: LABEL_VERSION (a newer program wrote it), LABEL_RANGE,
 * MALFORMED, NOT_CANONICAL, BYTES_TOO_LONG.
 */
export function decodeLabel(bytes: Uint8Array): Result<PackLabel> {
  const [version, kind] = bytes
  if (version !== LABEL_VERSION || kind !== LabelKind.pack) {
    return fault('LABEL_VERSION', `label version ${version}, kind ${kind}: use a newer program`)
  }
  const decoded = decodeCanonical(PackLabelType, bytes, PackLabelType.minSize)
  if (!decoded.ok) return decoded
  const { sequence, pack, packs, k, n, manifestBytes, packBytes } = decoded.value
  const shards = k >= 1 && k <= n
  const sizes = manifestBytes >= 1 && manifestBytes <= packBytes
  if (!shards || !sizes || pack >= packs || !Number.isSafeInteger(sequence)) {
    return fault('LABEL_RANGE', 'the numbers of the label contradict each other')
  }
  return ok(decoded.value)
}
