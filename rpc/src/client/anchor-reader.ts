import { bytesToHex, type Hex } from '@ioex/chain/bytes'
import type { Epoch, MainHeaderRecord } from '@ioex/chain/types'

/** Records of the certified state, each by proof; a LightChainClient is one. */
export interface AnchorRecords {
  epoch(epoch: number): Promise<Epoch | undefined>
  mainHeader(height: number): Promise<MainHeaderRecord | undefined>
  head(): Promise<{ readonly epoch: number }>
}

/** What the certified state says of an epoch and its anchor; hashes in internal order. */
export interface ProvenAnchor {
  /** Of the epoch's last block. */
  readonly checkpointHash: Hex
  /** AnchorState. */
  readonly state: number
  readonly mainHeight: number
  /** Of the main block; undefined where the state keeps no header of that height any more. */
  readonly mainHash: Hex | undefined
  /** Consensus keys that may have signed a memo of the epoch. */
  readonly consensusKeys: readonly Hex[]
}

/** Undefined for an epoch that is not over. */
export async function readAnchor(
  chain: AnchorRecords,
  epoch: number,
): Promise<ProvenAnchor | undefined> {
  const record = await chain.epoch(epoch)
  const now = await chain.head()
  if (!record || epoch >= now.epoch) return undefined
  // A set stands in the record of the epoch before. Keys may change before a late memo is signed.
  const sets = await Promise.all(
    [epoch, epoch + 1, now.epoch].map((each) => chain.epoch(Math.max(0, each - 1))),
  )
  const members = sets.flatMap((set) => set?.nextValidators ?? [])
  const main = await chain.mainHeader(record.anchorMainHeight)
  return {
    checkpointHash: bytesToHex(record.checkpointHash),
    state: record.anchorState,
    mainHeight: record.anchorMainHeight,
    mainHash: main && bytesToHex(main.hash),
    consensusKeys: [...new Set(members.map(({ publicKey }) => bytesToHex(publicKey)))],
  }
}
