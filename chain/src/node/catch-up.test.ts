import { pino } from 'pino'
import { expect, test } from 'vitest'
import { CertifiedChain, sameGenesis } from '../audit/testing/certified-chain.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { LevelStore } from '../store/level-store.ts'
import { SyncAnswerType } from '../sync/sync-messages.ts'
import { managerOf, managerOn, serverOf } from '../sync/testing/served-chain.ts'
import { CatchUp, type CatchUpParts } from './catch-up.ts'
import type { FullNodeOptions } from './full-node-options.ts'

test('a peer that lies about its height does not make a node believe for good that it is behind', async () => {
  await installNativeCrypto()
  const chain = new CertifiedChain()
  chain.runTo(3)
  const ahead = await managerOf(chain)
  const manager = await managerOn(await LevelStore.inMemory())
  const network: Partial<CatchUpParts['network']> = {
    peers: () => ['boaster'],
    async requestSync(_, request) {
      const answer = SyncAnswerType.deserialize(await serverOf(ahead).answer(request))
      const status = { ...answer.status, height: 10_000_000 }
      return SyncAnswerType.serialize({ ...answer, status })
    },
  }
  const catchUp = new CatchUp(
    // What else a node is started with has nothing to do with where it is.
    {
      genesis: sameGenesis(),
      peers: [],
      logger: pino({ level: 'silent' }),
    } as unknown as FullNodeOptions,
    { manager, network: network as CatchUpParts['network'] },
  )
  catchUp.begin({ advanceTo: (run) => run() })
  await catchUp.sync?.catchUp()
  expect(manager.final.hash).toBe(ahead.final.hash)
  expect(catchUp.targetHeight).toBe(3)
  // Anchoring, evictions, snapshots and the scrubber wait while this is true.
  expect(catchUp.isSyncing).toBe(false)
  catchUp.stop()
}, 60_000)
