import { sha256 } from '../bytes/hash.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { U64_MAX } from '../types/primitives.ts'
import type { Epoch, Node } from '../types/records.ts'
import { OPENINGS } from '../types/transactions.ts'

/**
 * Who is challenged and where (PROTOCOL 6.3, 6.4; docs/protocol/challenges.md). Providers draw
 * the same positions with these functions before they answer.
 */

/** A q that always challenges: all ones. */
export const Q_ALWAYS = U64_MAX

/** Integer of little-endian bytes, a multiple of 8 of them. */
function littleEndian(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let value = 0n
  for (let at = bytes.length - 8; at >= 0; at -= 8) {
    value = (value << 64n) | view.getBigUint64(at, true)
  }
  return value
}

/** H(beacon, node): everything a challenge draws comes from it. `node` is the key's address. */
export function challengeSeed(beacon: Uint8Array, node: Uint8Array): Uint8Array {
  return sha256(beacon, node)
}

/** The first 8 bytes of a seed, little-endian: a node is challenged if they are below its rate. */
export function challengeDraw(seed: Uint8Array): bigint {
  return littleEndian(seed.subarray(0, 8))
}

/** True iff the first 8 bytes of H(beacon, node), little-endian, are below q. */
export function isChallenged(beacon: Uint8Array, node: Uint8Array, q: bigint): boolean {
  if (q === Q_ALWAYS) return true
  return challengeDraw(challengeSeed(beacon, node)) < q
}

/**
 * Draws of opening i. Both are 256-bit integers reduced by a modulus of at most 128 bits, so no
 * residue is likelier than another by more than 2^-128 and nothing is ever drawn again.
 */
function drawWide(seed: Uint8Array, opening: number, kind: number): bigint {
  return littleEndian(sha256(seed, Uint8Array.of(opening, kind)))
}

const POSITION = 0
const LEAF = 1

/** Where opening i (0..7) falls among the snapshot's weights: 0..sum-1. */
export function challengePosition(seed: Uint8Array, opening: number, sum: bigint): bigint {
  return drawWide(seed, opening, POSITION) % sum
}

/** Which leaf of the drawn slot opening i must show: 0..leaves-1, uniform. */
export function challengeLeaf(seed: Uint8Array, opening: number, leaves: number): number {
  return Number(drawWide(seed, opening, LEAF) % BigInt(leaves))
}

/** The eight positions of a challenge over a snapshot with this sum. */
export function challengePositions(
  beacon: Uint8Array,
  node: Uint8Array,
  sum: bigint,
): readonly bigint[] {
  const seed = challengeSeed(beacon, node)
  return Array.from({ length: OPENINGS }, (_, i) => challengePosition(seed, i, sum))
}

/**
 * The eight leaves that a fill must open: seed = H(newest beacon, contract u32, slot u8, root),
 * leaf i = H(seed, i) mod leaves.
 */
export function fillLeaves(fill: {
  readonly beacon: Uint8Array
  readonly contract: number
  readonly slot: number
  readonly root: Uint8Array
  readonly leaves: number
}): readonly number[] {
  const place = new Uint8Array(5)
  new DataView(place.buffer).setUint32(0, fill.contract, true)
  place[4] = fill.slot
  const seed = sha256(fill.beacon, place, fill.root)
  return Array.from({ length: OPENINGS }, (_, i) =>
    Number(littleEndian(sha256(seed, Uint8Array.of(i))) % BigInt(fill.leaves)),
  )
}

/** 2^64: what draws of the lottery are fractions of. */
const LOTTERY_SPAN = 1n << 64n

/**
 * Draw of a node in the lottery for an open slot, and what it must be below: first 8 bytes of
 * H(beacon, contract u32, slot u8, refill u32, node), and a window of one node expected among
 * `nodes` that doubles with every epoch.
 */
export function lotteryDraw(place: {
  readonly beacon: Uint8Array
  readonly contract: number
  readonly slot: number
  readonly refill: number
  readonly node: Uint8Array
  readonly nodes: number
  readonly epochs: number
}): { readonly draw: bigint; readonly chance: bigint } {
  const bytes = new Uint8Array(9)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, place.contract, true)
  bytes[4] = place.slot
  view.setUint32(5, place.refill, true)
  const draw = littleEndian(sha256(place.beacon, bytes, place.node).subarray(0, 8))
  const window = (LOTTERY_SPAN << BigInt(Math.min(place.epochs, 64))) / BigInt(place.nodes)
  return { draw, chance: window < LOTTERY_SPAN ? window : LOTTERY_SPAN - 1n }
}

/** All ones is "everybody", as in a challenge. */
export function isDrawn({ draw, chance }: { draw: bigint; chance: bigint }): boolean {
  return draw < chance || chance === Q_ALWAYS
}

/** Root, sum, size and entries of an inventory at a checkpoint. */
export interface InventorySnapshot {
  readonly root: Uint8Array
  readonly sum: bigint
  readonly bytes: number
  readonly count: number
}

/**
 * The inventory at the checkpoint before `epoch`, which is what a challenge of `epoch` draws
 * from: the oldest kept snapshot that was still whole then, else the inventory as it stands.
 */
export function snapshotOf(node: Readonly<Node>, epoch: number): InventorySnapshot {
  for (const snapshot of node.snapshots) if (snapshot.epoch >= epoch) return snapshot
  return {
    root: node.inventoryRoot,
    sum: node.inventorySum,
    bytes: node.inventoryBytes,
    count: node.inventoryCount,
  }
}

/** 0: nothing under contract that pays; 1: at least 1 GiB; 2: less (PROTOCOL 6.3). */
export function challengeClass(
  params: NetworkParams,
  snapshot: { readonly sum: bigint; readonly bytes: number },
): 0 | 1 | 2 {
  if (snapshot.sum === 0n) return 0
  return snapshot.bytes >= params.class1Bytes ? 1 : 2
}

/** Probability of a challenge of `node` in an epoch, as fraction of 2^64. */
export function challengeRate(
  params: NetworkParams,
  node: Pick<Node, 'strikes'>,
  epoch: Pick<Epoch, 'q1' | 'q2'>,
  snapshot: InventorySnapshot,
): bigint {
  if (node.strikes > 0) return Q_ALWAYS
  return challengeClass(params, snapshot) === 1 ? epoch.q1 : epoch.q2
}

/** The newest epoch whose beacon is fixed, and the one fixed before it, newest first. */
export function newestBeacons(draft: LedgerDraft, nowEpoch: number, most: number): Uint8Array[] {
  const beacons: Uint8Array[] = []
  const oldest = Math.max(0, nowEpoch - draft.params.beaconRingEpochs + 1)
  for (let epoch = nowEpoch; epoch >= oldest && beacons.length < most; epoch--) {
    const record = draft.epochs.get(epoch)
    if (record && record.beaconHeight !== 0) beacons.push(record.beacon)
  }
  return beacons
}
