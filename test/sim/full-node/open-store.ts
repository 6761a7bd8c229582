import { pino } from 'pino'
import { openChain } from '../../../chain/src/node/open-chain.ts'
import type { Genesis } from '../../../chain/src/rules/genesis-state.ts'
import { LevelStore } from '../../../chain/src/store/level-store.ts'
import type { FaultyDisk } from './faulty-disk.ts'

export const logger = pino({ level: 'silent' })

/** What production reads from a disk at a start. */
export async function openStore(disk: FaultyDisk, genesis: Genesis) {
  const store = await LevelStore.over(disk.db)
  // Into an empty store the genesis is written first, and then read from it: its own ledger is
  // shared by all nodes of all histories and must not change.
  if ((await store.tipHeight()) === undefined) await openChain(store, genesis)
  return { store, opened: await openChain(store, genesis) }
}
