import type { KeyObject } from 'node:crypto'
import { reconstruct } from '../erasure/reed-solomon.ts'
import type { FetchedStripe } from '../sealing/decode-pack.ts'
import { xorKeystream } from '../sealing/keystream.ts'
import { StripeUnreadableError } from '../sealing/seal-errors.ts'
import { cellOffset } from '../slicing/pack-geometry.ts'

/** What rebuilding takes: the code and the mask keys of its slots, by slot. No content key. */
export interface SlotCode {
  readonly k: number
  readonly n: number
  readonly slotKeys: readonly KeyObject[]
}

/** The masked cells of lost slots in one stripe, by slot. */
export interface RebuiltStripe {
  readonly stripe: number
  readonly cells: ReadonlyMap<number, Uint8Array>
}

/**
 * Masked cells of the slots `lost`, stripe by stripe, from k masked cells of other slots: unmask,
 * decode, mask again (PROTOCOL 5.1, 1.5). Holds one stripe in memory. Nothing is decrypted: cells
 * stay sealed under the pack's key, which whoever repairs need not have.
 */
export async function* rebuildSlots(
  code: SlotCode,
  lost: readonly number[],
  stripes: AsyncIterable<FetchedStripe>,
): AsyncGenerator<RebuiltStripe> {
  for await (const { stripe, cells } of stripes) {
    yield { stripe, cells: rebuildCells(code, stripe, cells, lost) }
  }
}

/** Throws StripeUnreadableError: CELLS_TOO_FEW, CELL_INDEX, CELL_LENGTHS_DIFFER. */
export function rebuildCells(
  { k, n, slotKeys }: SlotCode,
  stripe: number,
  cells: ReadonlyMap<number, Uint8Array>,
  lost: readonly number[],
): Map<number, Uint8Array> {
  const mask = (slot: number, cell: Uint8Array) => {
    const key = slotKeys[slot]
    if (!key) throw new StripeUnreadableError(stripe, 'CELL_INDEX', `there is no slot ${slot}`)
    return xorKeystream(key, cellOffset(stripe), cell)
  }
  const available = new Map([...cells].map(([slot, cell]) => [slot, mask(slot, cell)]))
  const rebuilt = reconstruct(k, n, available, lost)
  if (!rebuilt.ok) {
    throw new StripeUnreadableError(stripe, rebuilt.fault.code, rebuilt.fault.message)
  }
  return new Map([...rebuilt.value].map(([slot, cell]) => [slot, mask(slot, cell)]))
}
