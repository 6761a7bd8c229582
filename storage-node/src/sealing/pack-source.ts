import { createHash, createSecretKey } from 'node:crypto'
import { bytesEqual } from '@ioex/chain/bytes'
import { createKeystream } from './keystream.ts'
import { SourceChangedError } from './seal-errors.ts'

/** Content of one file entry, read from where the file lies. */
export interface PackPart {
  /** Named in errors. */
  readonly name: string
  readonly bytes: number
  /** Where the part starts in its file: the content's keystream runs over the whole file. */
  readonly partOffset: number
  readonly contentKey: Uint8Array
  readonly partSha256: Uint8Array
  /** The part's plaintext from its first byte on; each call reads anew. */
  open(): AsyncIterable<Uint8Array>
}

/**
 * The bytes of a pack from offset `from` on: the sealed manifest, then every part under its
 * content key. Throws SourceChangedError when a part is not what its manifest says.
 *
 * A pack is sealed under nonces that count cells, so what is sent twice must be the same bytes:
 * when an upload resumes (`from` > 0), every part that is still to be sent is hashed before a
 * byte of it leaves, because some node may already have had it.
 */
export async function* packSource(
  sealedManifest: Uint8Array,
  parts: readonly PackPart[],
  from = 0,
): AsyncGenerator<Uint8Array> {
  if (from < sealedManifest.length) yield sealedManifest.subarray(from)
  const starts: { part: PackPart; skip: number }[] = []
  let offset = sealedManifest.length
  for (const part of parts) {
    if (offset + part.bytes > from) starts.push({ part, skip: Math.max(0, from - offset) })
    offset += part.bytes
  }
  if (from > 0) {
    for (const { part } of starts) {
      for await (const _ of verified(part));
    }
  }
  for (const { part, skip } of starts) yield* contentOf(part, skip)
}

/** The part's ciphertext from its byte `skip` on. */
async function* contentOf(part: PackPart, skip: number): AsyncGenerator<Uint8Array> {
  const keystream = createKeystream(createSecretKey(part.contentKey), part.partOffset + skip)
  let offset = 0
  for await (const chunk of verified(part)) {
    const start = Math.min(chunk.length, Math.max(0, skip - offset))
    offset += chunk.length
    if (start < chunk.length) yield keystream(chunk.subarray(start))
  }
}

/** The part's plaintext; ends without error only if it has the planned length and hash. */
async function* verified(part: PackPart): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of part.open()) {
    bytes += chunk.length
    if (bytes > part.bytes) throw new SourceChangedError(part.name, 'it grew')
    hash.update(chunk)
    yield chunk
  }
  if (bytes < part.bytes) throw new SourceChangedError(part.name, 'it shrank')
  if (!bytesEqual(hash.digest(), part.partSha256)) {
    throw new SourceChangedError(part.name, 'its content differs')
  }
}
