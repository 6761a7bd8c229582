import type { ChainHead } from '@ioex/chain/light'

/** Blocks by which a node waits: 0..most-1, from its address. */
export function jitterBlocks(nodeAddress: Uint8Array, most: number): number {
  if (most <= 1) return 0
  return new DataView(nodeAddress.buffer, nodeAddress.byteOffset).getUint32(0, true) % most
}

/** A duty of once an epoch, at a block that differs from node to node: not all come at once. */
export class EpochTurn {
  readonly #nodeAddress: Uint8Array
  #lastEpoch: number | undefined

  constructor(nodeAddress: Uint8Array) {
    this.#nodeAddress = nodeAddress
  }

  /** Whether the turn of the head's epoch has come; true once an epoch. */
  take(head: ChainHead, epochBlocks: number): boolean {
    if (this.#lastEpoch === head.epoch) return false
    const inEpoch = head.height - (head.epoch - 1) * epochBlocks
    if (inEpoch < jitterBlocks(this.#nodeAddress, Math.floor(epochBlocks / 2))) return false
    this.#lastEpoch = head.epoch
    return true
  }
}
