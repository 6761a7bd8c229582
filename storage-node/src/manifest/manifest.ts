import {
  ByteListType,
  ByteVectorType,
  ContainerType,
  ListCompositeType,
  UintNumberType,
  type ValueOf,
} from '@chainsafe/ssz'
import { bytesEqual, decodeCanonical, fault, ok, type Result } from '@ioex/chain/bytes'
import { decodePath, PATH_BYTES_MAX } from './file-path.ts'

/**
 * The manifest of a pack (PROTOCOL 5.4, docs/protocol/storage-layout.md): what a contract stores
 * and how to read it. It stands sealed at the start of the pack.
 */

export const MANIFEST_VERSION = 1
export const DEVICE_ID_BYTES = 16
export const FILES_PER_PACK_MAX = 65_536
export const TOMBSTONES_PER_PACK_MAX = 65_536
/** Bound of a manifest's encoding, below what the lists alone would allow. */
export const MANIFEST_BYTES_MAX = 32 * 1024 * 1024

const U8 = new UintNumberType(1)
const U16 = new UintNumberType(2)
const U32 = new UintNumberType(4)
const Count64 = new UintNumberType(8)
const Bytes32 = new ByteVectorType(32)
const PathType = new ByteListType(PATH_BYTES_MAX)

/** One file, or the part of a file that is too large for one pack. */
export const FileEntryType = new ContainerType(
  {
    /** UTF-8, relative, "/" between names; see file-path.ts. */
    path: PathType,
    /** Bytes of the whole file. */
    size: Count64,
    /** Time of the last change, milliseconds since 1970; 0 for earlier ones. */
    mtimeMs: Count64,
    /** POSIX st_mode: permissions and kind of file. */
    mode: U32,
    /** SHA-256 of the whole file. */
    sha256: Bytes32,
    /** AES-256 key of the content; fresh for every version of a file. */
    contentKey: Bytes32,
    /** Which part this is, 0..parts-1. */
    part: U16,
    parts: U16,
    /** Where the part starts in the file. */
    partOffset: Count64,
    partBytes: U32,
    /** SHA-256 of the part: equal to sha256 if there is one part. */
    partSha256: Bytes32,
    /** Where the part starts in the pack. */
    packOffset: U32,
  },
  { typeName: 'FileEntry' },
)
export type FileEntry = ValueOf<typeof FileEntryType>

export const ManifestType = new ContainerType(
  {
    version: U8,
    device: new ByteVectorType(DEVICE_ID_BYTES),
    /** Of the put: higher than every sequence its device had seen, from any device. */
    sequence: Count64,
    /** Which pack of the put this is, 0..packs-1. */
    pack: U16,
    packs: U16,
    createdMs: Count64,
    files: new ListCompositeType(FileEntryType, FILES_PER_PACK_MAX),
    /** Paths that are removed as of this put. */
    tombstones: new ListCompositeType(PathType, TOMBSTONES_PER_PACK_MAX),
  },
  { typeName: 'Manifest' },
)
export type Manifest = ValueOf<typeof ManifestType>

const OFFSET_BYTES = 4
const FILE_ENTRY_FIXED_BYTES = OFFSET_BYTES + 8 + 8 + 4 + 32 + 32 + 2 + 2 + 8 + 4 + 32 + 4
const MANIFEST_FIXED_BYTES = 1 + DEVICE_ID_BYTES + 8 + 2 + 2 + 8 + 2 * OFFSET_BYTES

/** Encoded bytes that one more file with a path of so many bytes adds to a manifest. */
export function fileEntryBytes(pathBytes: number): number {
  return OFFSET_BYTES + FILE_ENTRY_FIXED_BYTES + pathBytes
}

/** Encoded bytes that one more tombstone adds. */
export function tombstoneBytes(pathBytes: number): number {
  return OFFSET_BYTES + pathBytes
}

/** Encoded bytes of a manifest without files and tombstones. */
export function emptyManifestBytes(): number {
  return MANIFEST_FIXED_BYTES
}

/** Encodes a manifest of our own making. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return ManifestType.serialize(manifest)
}

/**
 * Decodes a manifest that may come from another device or, by a link, from a stranger.
 * `contentsStart` is where contents start in the pack (the sealed manifest's length) and
 * `packBytes` where they end. Faults: BYTES_TOO_LONG, MALFORMED, NOT_CANONICAL,
 * MANIFEST_VERSION, MANIFEST_PATH, MANIFEST_ENTRY.
 */
export function decodeManifest(
  bytes: Uint8Array,
  contentsStart: number,
  packBytes: number,
): Result<Manifest> {
  const [version] = bytes
  if (version !== undefined && version !== MANIFEST_VERSION) {
    return fault('MANIFEST_VERSION', `manifest version ${version}; this program reads version 1`)
  }
  const decoded = decodeCanonical(ManifestType, bytes, MANIFEST_BYTES_MAX)
  if (!decoded.ok) return decoded
  const manifest = decoded.value
  const { sequence, createdMs, pack, packs } = manifest
  if (![sequence, createdMs].every(Number.isSafeInteger) || pack >= packs) {
    return fault('MANIFEST_ENTRY', 'a number of the manifest is out of range')
  }
  for (const path of [...manifest.files.map((file) => file.path), ...manifest.tombstones]) {
    const text = decodePath(path)
    if (!text.ok) return fault('MANIFEST_PATH', text.fault.message)
  }
  for (const file of manifest.files) {
    if (!isConsistent(file, contentsStart, packBytes)) {
      return fault('MANIFEST_ENTRY', 'the numbers of a file entry contradict each other')
    }
  }
  return ok(manifest)
}

function isConsistent(file: FileEntry, contentsStart: number, packBytes: number): boolean {
  if (![file.size, file.mtimeMs, file.partOffset].every(Number.isSafeInteger)) return false
  if (file.part >= file.parts || file.partOffset + file.partBytes > file.size) return false
  if (file.packOffset < contentsStart || file.packOffset + file.partBytes > packBytes) return false
  if (file.parts > 1) return file.partBytes > 0
  return file.partBytes === file.size && bytesEqual(file.partSha256, file.sha256)
}
