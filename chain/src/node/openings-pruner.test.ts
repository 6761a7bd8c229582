import { pino } from 'pino'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type CertifiedChain,
  EVENTFUL_HEIGHT,
  eventfulChain,
  sameGenesis,
} from '../audit/testing/certified-chain.ts'
import { bytesToHex } from '../bytes/hex.ts'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import { readBlock } from '../manager/read-block.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { LevelStore } from '../store/level-store.ts'
import { checkPrunedBlock } from '../sync/block-check.ts'
import { BlockScrubber } from '../sync/block-scrubber.ts'
import { SyncAnswerType, SyncRequestKind, syncRequest } from '../sync/sync-messages.ts'
import { hopContext, managerOf, peersOf, serverOf } from '../sync/testing/served-chain.ts'
import { hasOpenings } from '../types/pruned-block.ts'
import { transactionId } from '../types/transaction-codec.ts'
import { openChain } from './open-chain.ts'
import { OpeningsPruner, prunableHeight } from './openings-pruner.ts'

let chain: CertifiedChain
let archive: ChainManager
let manager: ChainManager
let store: LevelStore
/** Heights of blocks with openings. */
let withOpenings: number[]
const TO = EVENTFUL_HEIGHT - 5

beforeAll(async () => {
  await installNativeCrypto()
  chain = eventfulChain()
  archive = await managerOf(chain)
  withOpenings = chain.records
    .filter(({ block }) => block.body.transactions.some(hasOpenings))
    .map(({ block }) => block.header.height)
}, 60_000)
beforeEach(async () => {
  store = await LevelStore.inMemory()
  manager = await managerOf(chain, undefined, store)
})

const logger = pino({ level: 'silent' })
const pruneAll = async (to = TO) => {
  let freed = 0
  while ((await store.prunedTo()) < to) freed += await store.pruneOpenings(to, 7)
  return freed
}
const validatorsOf = (epoch: number) => manager.validators(epoch)
const scrubber = (peers = peersOf({})) =>
  new BlockScrubber({
    store,
    params: manager.params,
    crypto: hopContext().crypto,
    validatorsOf,
    final: () => manager.final,
    peers,
    logger,
  })
const onePass = async (one: BlockScrubber) => {
  for (let turn = 0; one.status.passes === 0 && turn < 300; turn++) await one.turn()
  return one.status
}

describe('a store without old openings', () => {
  test('keeps headers, certificates, receipts, ids and all other transactions', async () => {
    expect(withOpenings.filter((height) => height <= TO).length).toBeGreaterThan(0)
    expect(await pruneAll()).toBeGreaterThan(1000)
    expect(await store.prunedTo()).toBe(TO)
    for (let height = 0; height <= EVENTFUL_HEIGHT; height++) {
      const [whole, kept] = [await readBlock(archive.store, height), await readBlock(store, height)]
      if (!whole || !kept) throw new Error(`block ${height} is gone`)
      const isPruned = height <= TO && withOpenings.includes(height)
      expect(kept.pruned !== undefined).toBe(isPruned)
      expect((await store.block(height)) === undefined).toBe(isPruned)
      expect((await store.prunedBlock(height)) !== undefined).toBe(isPruned)
      expect(kept.header).toEqual(whole.header)
      expect(kept.certificate).toEqual(whole.certificate)
      expect(kept.justification).toEqual(whole.justification)
      const ids = (block: typeof kept) =>
        block.transactions.map((transaction) => bytesToHex(transactionId(transaction)))
      expect(ids(kept)).toEqual(ids(whole))
      expect(kept.transactions.filter((one) => !hasOpenings(one))).toEqual(
        whole.transactions.filter((one) => !hasOpenings(one)),
      )
      expect(await store.receiptsAt(height)).toEqual(await archive.store.receiptsAt(height))
    }
  })

  test('is still proven from the tip down, and starts again', async () => {
    await pruneAll()
    const status = await onePass(scrubber())
    expect(status).toMatchObject({ passes: 1, repaired: 0, damaged: [] })
    const reopened = await openChain(store, sameGenesis())
    expect(reopened.head.hash).toBe(manager.final.hash)
  })

  test('a forged transaction among what is left is found, and fetched whole', async () => {
    await pruneAll()
    const height = withOpenings[0] as number
    const kept = await store.prunedBlock(height)
    if (!kept) throw new Error('it was pruned')
    const context = { ...hopContext(), validatorsOf }
    expect(checkPrunedBlock(kept, kept.hash, context).ok).toBe(true)
    for (let at = 0; at < kept.pruned.length; at += 3) {
      const pruned = Uint8Array.from(kept.pruned)
      pruned[at] = (pruned[at] as number) ^ (1 << (at % 8))
      const checked = checkPrunedBlock({ ...kept, pruned }, kept.hash, context)
      expect(checked.ok, `byte ${at}`).toBe(false)
    }
    const whole = await archive.store.block(height)
    if (!whole) throw new Error('an archive keeps it')
    await store.repair({ block: { ...whole, transactionIds: [] } })
    expect(await store.block(height)).toEqual(whole)
    expect(await store.prunedBlock(height)).toBeUndefined()
  })

  test('tells a peer that syncs nothing of such a block, and all of the later ones', async () => {
    await pruneAll()
    const ask = async (from: number) => {
      const request = syncRequest(SyncRequestKind.range, { from, count: 64 })
      return SyncAnswerType.deserialize(await serverOf(manager).answer(request)).blocks.length
    }
    expect(await ask(withOpenings[0] as number)).toBe(0)
    expect(await ask(TO + 1)).toBeGreaterThan(0)
  })

  test('asked again, or up to a lower height, changes nothing', async () => {
    await pruneAll()
    expect(await store.pruneOpenings(TO, 100)).toBe(0)
    expect(await store.pruneOpenings(3, 100)).toBe(0)
    expect(await store.prunedTo()).toBe(TO)
  })
})

describe('when openings may go', () => {
  const { params } = sameGenesis()
  const main = { ...params, epochBlocks: 3600, proofWindowEpochs: 12 }

  test('never above the newest FINAL anchor, nor what challenges and lagging peers need', () => {
    const at = (lastFinalEpoch: number, tip: number, of = main) =>
      prunableHeight(of, { lastFinalEpoch, tip })
    expect(at(0, 10_000_000)).toBe(0)
    expect(at(2, 10_000_000)).toBe(7200)
    expect(at(100, 101 * 3600)).toBe((101 - 14) * 3600)
    expect(at(100, 5)).toBe(0)
    expect(at(90, 1000, params)).toBe(1000 - 256)
  })

  test('happens at checkpoints, up to there and no further', async () => {
    const listeners: ((block: FinalizedBlock) => void)[] = []
    const final = { ...manager.final, header: { ...manager.final.header, height: 300 } }
    const ledger = { globals: () => ({ lastFinalEpoch: 0 }) }
    const host = {
      params: manager.params,
      store,
      final,
      ledger,
      onFinal(listener: (block: FinalizedBlock) => void) {
        listeners.push(listener)
        return () => void listeners.splice(0)
      },
    }
    const pruner = new OpeningsPruner({ manager: host as never, logger })
    await pruner.idle()
    expect(await store.prunedTo()).toBe(0)
    ledger.globals = () => ({ lastFinalEpoch: 3 })
    const block = (height: number) => ({ header: { height } }) as FinalizedBlock
    for (const listener of listeners) listener(block(299))
    await pruner.idle()
    expect(await store.prunedTo()).toBe(0)
    for (const listener of listeners) listener(block(300))
    await pruner.idle()
    expect(await store.prunedTo()).toBe(30)
    await pruner.stop()
    expect(listeners).toEqual([])
  })
})
