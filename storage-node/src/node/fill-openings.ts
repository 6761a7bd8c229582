import type { SlotOpening } from '@ioex/chain/bytes'
import { fillLeaves } from '@ioex/chain/rules'
import type { SlotName } from '../blobs/slot-record.ts'
import type { SlotStore } from '../blobs/slot-store.ts'
import { buildOpenings } from '../proofs/build-openings.ts'
import { Refusal } from '../transfer/refusal.ts'
import { type ChainClient, ChainRefusal } from './chain-client.ts'

/** Epochs that are searched backwards for the newest beacon. */
const BEACON_EPOCHS = 64

/**
 * The openings with which a slot that is stored here is brought onto the chain, drawn from the
 * newest beacon (PROTOCOL 5.2). Throws Refusal SLOT_DAMAGED, ChainRefusal BEACON_MISSING.
 */
export async function fillOpenings(
  chain: ChainClient,
  store: SlotStore,
  place: SlotName & { readonly root: Uint8Array; readonly leaves: number },
): Promise<SlotOpening[]> {
  const beacon = await newestBeacon(chain)
  const { contract, slot, root, leaves } = place
  const opened = await store.openSlot(place)
  try {
    const drawn = fillLeaves({ beacon, contract, slot, root, leaves })
    const openings = await buildOpenings(opened, drawn)
    if (openings.ok) return openings.value
    store.markDamaged(place, openings.fault.message)
    throw new Refusal('SLOT_DAMAGED', 'the slot was damaged on the disk: upload it again')
  } finally {
    await opened.close()
  }
}

async function newestBeacon(chain: ChainClient): Promise<Uint8Array> {
  const { epoch: now } = await chain.head()
  for (let epoch = now; epoch >= Math.max(0, now - BEACON_EPOCHS); epoch--) {
    const record = await chain.epoch(epoch)
    if (record && record.beaconHeight !== 0) return record.beacon
  }
  throw new ChainRefusal('BEACON_MISSING', 'no beacon is fixed yet to draw openings from')
}
