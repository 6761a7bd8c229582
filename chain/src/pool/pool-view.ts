/** A ledger as the pool sees it. */
export interface PoolView {
  /** Height of the block it stands after. */
  readonly height: number
  readonly epoch: number
  /** Base fee of the block after that one, units per byte. */
  readonly baseFee: bigint
  nonceOf(address: Uint8Array): number
  balanceOf(address: Uint8Array): bigint
}
