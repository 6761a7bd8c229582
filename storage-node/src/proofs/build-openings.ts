import {
  openingFrom,
  ok,
  type Result,
  SLOT_BLOCK_BYTES,
  LEAF_BYTES,
  type SlotOpening,
} from '@ioex/chain/bytes'

/** A slot as its provider keeps it: the tree above 64 KiB in memory, the bytes on disk. */
export interface StoredSlot {
  readonly leafCount: number
  /** As SlotTreeBuilder gives them. */
  readonly blockHashes: Uint8Array
  /** Block of 64 KiB, shorter at the slot's end. Throws what the disk throws. */
  readBlock(blockIndex: number): Promise<Uint8Array>
}

const BLOCK_LEAVES = SLOT_BLOCK_BYTES / LEAF_BYTES

/**
 * Openings of drawn leaves (PROTOCOL 5.2, 6.4), in the order drawn; each block is read once.
 * Fault BLOCK_DAMAGED: the disk gave other bytes than were stored; the rail should be declared
 * lost rather than the proof of the whole node spoilt.
 */
export async function buildOpenings(
  slot: StoredSlot,
  leafIndexes: readonly number[],
): Promise<Result<SlotOpening[]>> {
  const { leafCount, blockHashes } = slot
  const blocks = new Map<number, Uint8Array>()
  const openings: SlotOpening[] = []
  for (const leafIndex of leafIndexes) {
    const blockIndex = Math.floor(leafIndex / BLOCK_LEAVES)
    const blockBytes = blocks.get(blockIndex) ?? (await slot.readBlock(blockIndex))
    blocks.set(blockIndex, blockBytes)
    const opening = openingFrom({ blockHashes, leafCount, leafIndex, blockBytes })
    if (!opening.ok) return opening
    openings.push(opening.value)
  }
  return ok(openings)
}
