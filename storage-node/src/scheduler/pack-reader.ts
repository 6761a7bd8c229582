import type { Manifest } from '../manifest/manifest.ts'
import { decodeRange } from '../sealing/decode-pack.ts'
import { openManifest } from '../sealing/pack-secrets.ts'
import { cellsOfRange } from '../slicing/pack-geometry.ts'
import { assert } from '@ioex/chain/bytes'
import type { OwnPack } from './own-packs.ts'
import { StorageError } from './storage-interfaces.ts'
import { StripeReader, type StripeReaderOptions } from './stripe-reader.ts'

/** Bytes [from, to) of a pack, verified and opened, in order. Throws FILE_UNREADABLE. */
export async function* readPack(
  options: StripeReaderOptions,
  pack: OwnPack,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  const spans = cellsOfRange(pack.geometry, from, to)
  assert(spans.ok, 'ranges of a pack were checked against its manifest')
  const first = spans.value[0]
  const last = spans.value.at(-1)
  if (!first || !last) return
  const reader = new StripeReader(options, pack)
  const stripes = reader.read(first.stripe, last.stripe + 1)
  yield* decodeRange(pack.geometry, pack.secrets, spans.value, stripes)
}

/** The sealed manifest at the start of a pack. */
export async function readSealedManifest(
  options: StripeReaderOptions,
  pack: OwnPack,
): Promise<Uint8Array> {
  const { manifestBytes } = pack.label
  const sealed = new Uint8Array(manifestBytes)
  let filled = 0
  for await (const chunk of readPack(options, pack, 0, manifestBytes)) {
    sealed.set(chunk, filled)
    filled += chunk.length
  }
  return sealed
}

/** Opens a manifest that was read or cached. Throws FILE_UNREADABLE where it is not genuine. */
export function openPackManifest(master: Uint8Array, pack: OwnPack, sealed: Uint8Array): Manifest {
  const opened = openManifest(master, pack.record.salt, pack.label, sealed)
  if (opened.ok) return opened.value
  throw new StorageError('FILE_UNREADABLE', `contract ${pack.contract}: ${opened.fault.message}`)
}
