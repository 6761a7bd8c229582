import { assert } from '@ioex/chain/bytes'
import { encodeInto } from '../erasure/reed-solomon.ts'
import type { PackSecrets } from './pack-secrets.ts'
import {
  CELL_BYTES,
  CELL_PLAIN_BYTES,
  cellBytes,
  cellNumber,
  cellOffset,
  cellPlainBytes,
  type PackGeometry,
  stripePlainBytes,
} from '../slicing/pack-geometry.ts'
import { sealCellInto } from './cell-sealing.ts'
import { createKeystream, type Keystream } from './keystream.ts'
import { SourceChangedError } from './seal-errors.ts'

/** One stripe as the nodes store it: cell i goes to slot i, at offset stripe x 64 KiB. */
export interface EncodedStripe {
  readonly stripe: number
  /** n masked cells; the consumer owns them. */
  readonly cells: readonly Uint8Array[]
}

/**
 * Encodes a pack stripe by stripe: seal k cells, compute n-k parity cells, mask all n. Holds one
 * stripe in memory beside those the consumer keeps. `source` gives the pack's bytes from the
 * start of `firstStripe` on, in chunks of any size (see packSource); the same pack gives the same
 * stripes, so an upload may resume at any of them. Throws SourceChangedError if the source has
 * more or fewer bytes than the geometry says.
 */
export async function* encodePack(
  geometry: PackGeometry,
  secrets: PackSecrets,
  source: AsyncIterable<Uint8Array>,
  firstStripe = 0,
): AsyncGenerator<EncodedStripe> {
  const encoder = createStripeEncoder(geometry, secrets, firstStripe)
  let stripe = firstStripe
  let plaintext = encoder.plaintextOf(stripe)
  let filled = 0
  for await (const chunk of source) {
    for (let start = 0; start < chunk.length; ) {
      if (stripe === geometry.stripeCount) throw new SourceChangedError('the pack', 'it grew')
      const taken = Math.min(chunk.length - start, plaintext.length - filled)
      plaintext.set(chunk.subarray(start, start + taken), filled)
      start += taken
      filled += taken
      if (filled < plaintext.length) continue
      yield { stripe, cells: encoder.encode(stripe) }
      stripe += 1
      filled = 0
      if (stripe < geometry.stripeCount) plaintext = encoder.plaintextOf(stripe)
    }
  }
  if (stripe < geometry.stripeCount) throw new SourceChangedError('the pack', 'it shrank')
}

interface StripeEncoder {
  /** Where the stripe's bytes of the pack are to be written before `encode`. */
  plaintextOf(stripe: number): Uint8Array
  encode(stripe: number): Uint8Array[]
}

/** Buffers and mask streams of one pack; stripes must be encoded in order. */
function createStripeEncoder(
  geometry: PackGeometry,
  secrets: PackSecrets,
  firstStripe: number,
): StripeEncoder {
  const { k, n } = geometry
  assert(firstStripe < geometry.stripeCount, 'a resumed upload has a stripe left')
  const { contractSalt, cellKey, slotKeys } = secrets
  assert(slotKeys.length === n, 'every slot has its mask key')
  const plaintext = new Uint8Array(k * CELL_PLAIN_BYTES)
  const buffers = Array.from({ length: n }, () => new Uint8Array(CELL_BYTES))
  const masks = slotKeys.map((key) => createKeystream(key, cellOffset(firstStripe)))
  return {
    plaintextOf: (stripe) => plaintext.subarray(0, stripePlainBytes(geometry, stripe)),
    encode(stripe) {
      const plainBytes = cellPlainBytes(geometry, stripe)
      // The last stripe is filled up with zeros; they are sealed like data.
      plaintext.fill(0, stripePlainBytes(geometry, stripe), k * plainBytes)
      const cells = buffers.map((buffer) => buffer.subarray(0, cellBytes(geometry, stripe)))
      for (let cell = 0; cell < k; cell++) {
        sealCellInto(
          cells[cell] as Uint8Array,
          plaintext.subarray(cell * plainBytes, (cell + 1) * plainBytes),
          { cellKey, contractSalt, cellNumber: cellNumber(geometry, stripe, cell) },
        )
      }
      encodeInto(k, n, cells.slice(0, k), cells.slice(k))
      return cells.map((cell, slot) => (masks[slot] as Keystream)(cell))
    },
  }
}
