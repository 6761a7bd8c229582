import {
  assert,
  fault,
  LEAF_BYTES,
  ok,
  type Result,
  SLOT_BLOCK_BYTES,
  SLOT_LEAVES_MAX,
} from '@ioex/chain/bytes'

/** Bytes of a whole cell as stored: ciphertext and tag. It is also one block of the slot tree. */
export const CELL_BYTES = SLOT_BLOCK_BYTES
/** AES-256-GCM tag at the end of every cell. */
export const CELL_TAG_BYTES = 16
export const CELL_PLAIN_BYTES = CELL_BYTES - CELL_TAG_BYTES
/** Data of one contract: sealed manifest and contents (PROTOCOL 5.3). */
export const PACK_BYTES_MAX = 2 ** 30
/** Slot numbers are a byte on the chain. */
export const SLOTS_MAX = 255

const CELLS_PER_SLOT_MAX = (SLOT_LEAVES_MAX * LEAF_BYTES) / CELL_BYTES

/**
 * How the bytes of a pack lie in the n slots of a contract (PROTOCOL 5.3,
 * docs/protocol/storage-layout.md). Stripes are numbered from 0; in each, cells 0..k-1 carry
 * data and k..n-1 parity; slot i is cell i of every stripe, one after the other.
 */
export interface PackGeometry {
  readonly k: number
  readonly n: number
  /** Plaintext bytes of the pack, 1..2^30. */
  readonly packBytes: number
  readonly stripeCount: number
  /** Bytes of each cell of the last stripe: a multiple of 256, 256..65,536. */
  readonly lastCellBytes: number
  /** Leaves of 256 B of every slot. */
  readonly leafCount: number
  readonly slotBytes: number
}

/** Most plaintext that k data slots of 2^22 leaves can carry, at most 1 GiB. */
export function packBytesMax(k: number): number {
  return Math.min(PACK_BYTES_MAX, k * CELLS_PER_SLOT_MAX * CELL_PLAIN_BYTES)
}

/** Geometry of a pack; numbers from a label or a link are checked. Faults: SHARDS, PACK_SIZE. */
export function packGeometry(k: number, n: number, packBytes: number): Result<PackGeometry> {
  const shards = [k, n].every((count) => Number.isInteger(count) && count >= 1)
  if (!shards || k > n || n > SLOTS_MAX) {
    return fault('SHARDS', `no code has ${k} data shards of ${n}: 1 <= k <= n <= ${SLOTS_MAX}`)
  }
  if (!Number.isInteger(packBytes) || packBytes < 1 || packBytes > packBytesMax(k)) {
    return fault('PACK_SIZE', `a pack at k = ${k} has 1 to ${packBytesMax(k)} bytes`, { packBytes })
  }
  const stripeCount = Math.ceil(packBytes / (k * CELL_PLAIN_BYTES))
  const rest = packBytes - (stripeCount - 1) * k * CELL_PLAIN_BYTES
  const lastCellBytes = wholeLeaves(Math.ceil(rest / k) + CELL_TAG_BYTES)
  const slotBytes = (stripeCount - 1) * CELL_BYTES + lastCellBytes
  const leafCount = slotBytes / LEAF_BYTES
  assert(leafCount <= SLOT_LEAVES_MAX, 'a pack of allowed size fits its slots')
  return ok({ k, n, packBytes, stripeCount, lastCellBytes, leafCount, slotBytes })
}

function wholeLeaves(bytes: number): number {
  return Math.ceil(bytes / LEAF_BYTES) * LEAF_BYTES
}

/** Stored bytes of each cell of a stripe. */
export function cellBytes(geometry: PackGeometry, stripe: number): number {
  assert(Number.isInteger(stripe) && stripe >= 0 && stripe < geometry.stripeCount, 'no such stripe')
  return stripe === geometry.stripeCount - 1 ? geometry.lastCellBytes : CELL_BYTES
}

/** Plaintext bytes of each data cell of a stripe, with the zeros that fill up the last stripe. */
export function cellPlainBytes(geometry: PackGeometry, stripe: number): number {
  return cellBytes(geometry, stripe) - CELL_TAG_BYTES
}

/** Offset in the pack of a stripe's first byte. */
function stripeStart(geometry: PackGeometry, stripe: number): number {
  return stripe * geometry.k * CELL_PLAIN_BYTES
}

/** Bytes of the pack that a stripe carries, without fill. */
export function stripePlainBytes(geometry: PackGeometry, stripe: number): number {
  const start = stripeStart(geometry, stripe)
  const carried = geometry.k * cellPlainBytes(geometry, stripe)
  return Math.min(carried, geometry.packBytes - start)
}

/** Offset of a stripe's cell in its slot. */
export function cellOffset(stripe: number): number {
  return stripe * CELL_BYTES
}

/** Number of a data cell in the whole pack: its nonce and its position in the sealed data. */
export function cellNumber(geometry: PackGeometry, stripe: number, cell: number): number {
  return stripe * geometry.k + cell
}

/** What one data cell contributes to a range of the pack. */
export interface CellSpan {
  readonly stripe: number
  /** Data cell = slot, 0..k-1. */
  readonly cell: number
  /** The whole cell in its slot, as it must be fetched: a tag covers it whole. */
  readonly slotOffset: number
  readonly slotBytes: number
  /** The wanted part of the cell's plaintext, [from, to). */
  readonly from: number
  readonly to: number
}

/**
 * The data cells that hold bytes [from, to) of the pack, in the order of the bytes. Fault RANGE.
 * Where a data cell cannot be had, any k cells of its stripe, same offset and length, replace it.
 */
export function cellsOfRange(geometry: PackGeometry, from: number, to: number): Result<CellSpan[]> {
  const integers = Number.isInteger(from) && Number.isInteger(to)
  if (!integers || from < 0 || from > to || to > geometry.packBytes) {
    return fault('RANGE', `a range of this pack lies within 0 to ${geometry.packBytes}`)
  }
  const spans: CellSpan[] = []
  for (let at = from; at < to; ) {
    const stripe = Math.floor(at / (geometry.k * CELL_PLAIN_BYTES))
    const plainBytes = cellPlainBytes(geometry, stripe)
    const inStripe = at - stripeStart(geometry, stripe)
    const cell = Math.floor(inStripe / plainBytes)
    const start = inStripe - cell * plainBytes
    const end = Math.min(plainBytes, start + (to - at))
    spans.push({
      stripe,
      cell,
      slotOffset: cellOffset(stripe),
      slotBytes: cellBytes(geometry, stripe),
      from: start,
      to: end,
    })
    at += end - start
  }
  return ok(spans)
}
