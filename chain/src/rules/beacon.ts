import { ContainerType } from '@chainsafe/ssz'
import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { Bytes32, U32 } from '../types/primitives.ts'
import type { MainHeaderRecord } from '../types/records.ts'
import { confirmationsOf, mainHeaderAt } from './main-chain.ts'

/** Headers above the snapshot's tip that a beacon leaves out: they may be known already. */
const HEADERS_SKIPPED = 2

/** What a beacon is the root of. Work of the main chain comes last in time (PROTOCOL 6.2). */
export const BeaconInputType = new ContainerType(
  { chainId: Bytes32, epoch: U32, checkpointHash: Bytes32, bitcoinHash: Bytes32 },
  { typeName: 'BeaconInput' },
)

/**
 * beacon(e) = hash_tree_root{chainId, e, checkpointHash(e-1), Bitcoin-parent hash of the main
 * header}. Anyone who follows both chains' headers recomputes it.
 */
export function beaconOf(
  chainId: Uint8Array,
  epoch: number,
  checkpointHash: Uint8Array,
  bitcoinHash: Uint8Array,
): Uint8Array {
  return BeaconInputType.hashTreeRoot({ chainId, epoch, checkpointHash, bitcoinHash })
}

/**
 * Fixes the beacon of the current epoch if the main chain on record allows it now. Runs after
 * each extension of that chain. A beacon once fixed stays, whatever the main chain does later.
 */
export function fixBeacon(draft: LedgerDraft, blockHeight: number): void {
  const { epoch } = draft.globals()
  const record = draft.epochs.get(epoch)
  const previous = draft.epochs.get(epoch - 1)
  assert(record !== undefined && previous !== undefined, 'the current epoch has its record')
  if (record.beaconHeight !== 0) return
  const header = beaconHeader(draft, record.snapshotMainHeight, previous.checkpointTimeMs)
  if (!header) return
  const beacon = beaconOf(draft.chainId, epoch, previous.checkpointHash, header.bitcoinHash)
  draft.epochs.set(epoch, { ...record, beacon, beaconHeight: blockHeight })
}

/**
 * The first header of height >= h+2 whose time is past the checkpoint's by the margin, if it
 * has its confirmations; h is the tip that the checkpoint recorded.
 */
function beaconHeader(
  draft: LedgerDraft,
  snapshotHeight: number,
  checkpointTimeMs: number,
): Readonly<MainHeaderRecord> | undefined {
  const { beaconConfirmations, beaconMarginSeconds } = draft.params
  const after = checkpointTimeMs + beaconMarginSeconds * 1000
  for (let height = snapshotHeight + HEADERS_SKIPPED; ; height++) {
    const header = mainHeaderAt(draft, height)
    if (header === undefined || confirmationsOf(draft, height) < beaconConfirmations)
      return undefined
    if (header.time * 1000 > after) return header
  }
}
