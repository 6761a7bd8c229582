import { reconstruct } from '../erasure/reed-solomon.ts'
import {
  cellBytes,
  cellNumber,
  cellOffset,
  type CellSpan,
  type PackGeometry,
} from '../slicing/pack-geometry.ts'
import { openCell } from './cell-sealing.ts'
import type { PackSecrets } from './pack-secrets.ts'
import { xorKeystream } from './keystream.ts'
import { StripeUnreadableError } from './seal-errors.ts'

/**
 * Plaintext of the data cells `wanted` (0..k-1) of a stripe from masked cells by slot number:
 * either those very cells, or any k. Only what is needed is unmasked. Throws
 * StripeUnreadableError (CELLS_TOO_FEW, CELL_LENGTH, CELL_INDEX) and SealBrokenError; cells that
 * were checked against their slots' roots (verifyBlock) cannot cause the latter.
 */
export function decodeCells(
  geometry: PackGeometry,
  secrets: PackSecrets,
  stripe: number,
  cells: ReadonlyMap<number, Uint8Array>,
  wanted: readonly number[],
): Map<number, Uint8Array> {
  const { k, n } = geometry
  const isDirect = wanted.every((cell) => cells.has(cell))
  const used = isDirect ? wanted : [...cells.keys()].sort((a, b) => a - b).slice(0, k)
  const available = new Map<number, Uint8Array>()
  for (const slot of used) {
    const key = secrets.slotKeys[slot]
    if (slot >= n || !key) {
      throw new StripeUnreadableError(stripe, 'CELL_INDEX', `there is no slot ${slot}`)
    }
    const cell = cells.get(slot) as Uint8Array
    if (cell.length !== cellBytes(geometry, stripe)) {
      throw new StripeUnreadableError(stripe, 'CELL_LENGTH', `cell ${slot} has a wrong length`)
    }
    available.set(slot, xorKeystream(key, cellOffset(stripe), cell))
  }
  const sealed = reconstruct(k, n, available, wanted)
  if (!sealed.ok) throw new StripeUnreadableError(stripe, sealed.fault.code, sealed.fault.message)
  const { cellKey, contractSalt } = secrets
  const opened = new Map<number, Uint8Array>()
  for (const [cell, bytes] of sealed.value) {
    const place = { cellKey, contractSalt, cellNumber: cellNumber(geometry, stripe, cell) }
    opened.set(cell, openCell(bytes, place))
  }
  return opened
}

/** Masked cells of one stripe, by slot: at least k, or the data cells that the range needs. */
export interface FetchedStripe {
  readonly stripe: number
  readonly cells: ReadonlyMap<number, Uint8Array>
}

/**
 * The bytes of a range of the pack in order: `spans` as cellsOfRange gives them, `stripes` the
 * fetched cells of each stripe that they touch, in the same order. Whoever fetches decides how
 * far ahead. Throws as decodeCells does, and StripeUnreadableError (STRIPE_MISSING).
 */
export async function* decodeRange(
  geometry: PackGeometry,
  secrets: PackSecrets,
  spans: readonly CellSpan[],
  stripes: AsyncIterable<FetchedStripe>,
): AsyncGenerator<Uint8Array> {
  let next = 0
  for await (const { stripe, cells } of stripes) {
    const from = next
    while (spans[next]?.stripe === stripe) next += 1
    const touched = spans.slice(from, next)
    const wanted = touched.map((span) => span.cell)
    const opened = decodeCells(geometry, secrets, stripe, cells, wanted)
    for (const span of touched) {
      yield (opened.get(span.cell) as Uint8Array).subarray(span.from, span.to)
    }
    if (next === spans.length) return
  }
  const missing = spans[next]
  if (missing) {
    throw new StripeUnreadableError(missing.stripe, 'STRIPE_MISSING', 'it was not fetched')
  }
}
