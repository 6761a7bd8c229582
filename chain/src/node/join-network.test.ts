import { access, mkdir, mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CertifiedChain, eventfulChain, sameGenesis } from '../audit/testing/certified-chain.ts'
import { systemClock } from '../driver/driver-clock.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { isCheckpointHeight } from '../params/network-params.ts'
import { keyOf } from '../rules/testing/sample-chain.ts'
import { stateRoots } from '../state/ledger.ts'
import { LevelStore } from '../store/level-store.ts'
import { SnapshotDatabase } from '../store/snapshot-database.ts'
import { BlockSync } from '../sync/block-sync.ts'
import { produceSnapshot } from '../sync/snapshot-producer.ts'
import { SyncRequestKind, SyncRequestType } from '../sync/sync-messages.ts'
import type { SnapshotShelf } from '../sync/snapshot-shelf.ts'
import {
  hopContext,
  managerOf,
  managerOn,
  peersOf,
  serverOf,
} from '../sync/testing/served-chain.ts'
import { limitOfTrust } from '../sync/branch-trust.ts'
import { ForkedNetworkError, UnanchoredBranchError } from './branch-choice.ts'
import { joinBySnapshot, type JoinProgress } from './join-network.ts'
import { openChain } from './open-chain.ts'
import { openShelf } from './open-shelf.ts'

const EPOCH_BLOCKS = 10
const served = SnapshotDatabase.inMemory()
let manager: ChainManager
let folder = ''

beforeAll(async () => {
  await installNativeCrypto()
  manager = await managerOf(eventfulChain(), async ({ final, params, store, ledger }) => {
    if (!isCheckpointHeight(params, final.header.height)) return
    const view = store.stateView()
    const source = { view, header: final.header, roots: stateRoots(ledger), shelf: served }
    await produceSnapshot({ ...source, isCancelled: () => false })
    await view.close()
  })
}, 60_000)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-join-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const peers = () => {
  const server = serverOf(manager, { shelf: served })
  return peersOf({
    a: (request) => server.answer(request),
    b: (request) => server.answer(request),
  })
}

function joinWith(shelf: SnapshotShelf, more: Partial<Parameters<typeof joinBySnapshot>[0]> = {}) {
  return joinBySnapshot({
    genesis: sameGenesis(),
    folder,
    peers: peers(),
    peersExpected: 2,
    shelf,
    anchors: () => Promise.resolve([]),
    clock: { ...systemClock, now: () => manager.final.header.timeMs + 60_000 },
    logger: pino({ level: 'silent' }),
    ...more,
  })
}

async function expectJoined(): Promise<void> {
  const store = await LevelStore.open(join(folder, 'chain'))
  try {
    // Opening proves the whole state against the checkpoint's header.
    const { head, ledger } = await openChain(store, sameGenesis())
    expect(head.header.height).toBe(5 * EPOCH_BLOCKS)
    expect(head.hash).toBe((await manager.finalAt(5 * EPOCH_BLOCKS))?.hash)
    expect(ledger.inventory(0)).toEqual(manager.ledger.inventory(0))
    for (let epoch = 1; epoch <= 5; epoch++) {
      expect(await store.epochProof(epoch)).toEqual(await manager.store.epochProof(epoch))
    }
  } finally {
    await store.close()
  }
}

/** A process that ends in the middle of its n-th use of the shelf. */
class Crash extends Error {}

function mortal(shelf: SnapshotShelf, uses: number): SnapshotShelf {
  let left = uses
  const guard =
    <A extends unknown[], R>(act: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (left-- <= 0) throw new Crash()
      return act(...args)
    }
  return {
    epochs: () => shelf.epochs(),
    unfinished: () => shelf.unfinished(),
    manifest: guard((epoch) => shelf.manifest(epoch)),
    chunk: guard((epoch, ordinal) => shelf.chunk(epoch, ordinal)),
    put: guard((epoch, ordinal, chunk) => shelf.put(epoch, ordinal, chunk)),
    remove: guard((epoch, ordinal) => shelf.remove(epoch, ordinal)),
    begin: guard((epoch, manifest) => shelf.begin(epoch, manifest)),
    finish: guard((epoch, manifest) => shelf.finish(epoch, manifest)),
  }
}

describe('joining by snapshot', () => {
  test('gives a database that block sync goes on from', async () => {
    const told: JoinProgress[] = []
    const onJoining = (progress: JoinProgress) => void told.push(progress)
    expect(await joinWith(SnapshotDatabase.inMemory(), { onJoining })).toBe(true)
    await expectJoined()
    expect(told[0]).toEqual({ epoch: manager.final.header.epoch, chunks: 0, chunksKnown: 0 })
    const last = told.at(-1)
    expect(last).toMatchObject({ epoch: 5, chunks: last?.chunksKnown })
    expect(last?.chunks).toBeGreaterThan(0)
    const store = await LevelStore.open(join(folder, 'chain'))
    const joined = await managerOn(store)
    const sync = new BlockSync({
      manager: joined,
      peers: peers(),
      crypto: hopContext().crypto,
      exclusively: (run) => run(),
    })
    expect(await sync.catchUp()).toBe(true)
    expect(joined.final.hash).toBe(manager.final.hash)
    await store.close()
  })

  test('ended at any point, the next start ends where it should', async () => {
    let crashes = 0
    for (let uses = 0; ; uses += 3) {
      const shelf = SnapshotDatabase.inMemory()
      const first = await joinWith(mortal(shelf, uses)).catch((error: unknown) => error)
      if (first === true) break
      expect(first).toBeInstanceOf(Crash)
      crashes += 1
      // What is there opens: the chain is empty, or not there.
      const store = await LevelStore.open(join(folder, 'chain'))
      expect((await openChain(store, sameGenesis())).head.header.height).toBe(0)
      await store.close()
      expect(await joinWith(shelf)).toBe(true)
      await expectJoined()
      await rm(folder, { recursive: true })
      await mkdir(folder)
    }
    expect(crashes).toBeGreaterThan(8)
  }, 120_000)

  test('starts the download again where the half of it that is here is damaged', async () => {
    const path = join(folder, 'snapshots')
    const logger = pino({ level: 'silent' })
    for (const uses of [4, 12, 20]) {
      const half = await openShelf(path, logger)
      expect(await joinWith(mortal(half, uses)).catch((error: unknown) => error)).toBeInstanceOf(
        Crash,
      )
      expect(await half.unfinished()).toMatchObject({ epoch: 5 })
      await half.close()
      await truncate(join(path, 'CURRENT'), 0)
      const anew = await openShelf(path, logger)
      expect(await anew.unfinished()).toBeUndefined()
      expect(await joinWith(anew)).toBe(true)
      await anew.close()
      await expectJoined()
      await rm(path, { recursive: true })
      await rm(join(folder, 'chain'), { recursive: true })
    }
  }, 60_000)

  test('ended before the rename, the database is written again', async () => {
    const shelf = SnapshotDatabase.inMemory()
    expect(await joinWith(shelf)).toBe(true)
    await rm(join(folder, 'chain'), { recursive: true })
    await mkdir(join(folder, 'chain.new'))
    expect(await joinWith(shelf)).toBe(true)
    await expectJoined()
    await expect(access(join(folder, 'chain.new'))).rejects.toThrow(/ENOENT/)
  })

  test('is left where peers are not far ahead', async () => {
    const { chainId, params, hash } = sameGenesis()
    const near = serverOf(manager, {
      status: () => ({ chainId, height: 2 * params.epochBlocks, hash, epoch: 2 }),
    })
    const few = peersOf({ a: (request) => near.answer(request) })
    const shelf = SnapshotDatabase.inMemory()
    expect(await joinWith(shelf, { peers: few, peersExpected: 1 })).toBe(false)
    expect(await joinWith(shelf, { peersExpected: 0 })).toBe(false)
  })

  test('takes one history that no anchor vouches for only from its operator', async () => {
    const shelf = SnapshotDatabase.inMemory()
    const late = () => manager.final.header.timeMs + limitOfTrust(manager.params)
    const told = { clock: { ...systemClock, now: late } }
    await expect(joinWith(shelf, told)).rejects.toThrow(UnanchoredBranchError)
    expect(await shelf.unfinished()).toBeUndefined()
    await expect(access(join(folder, 'chain'))).rejects.toThrow(/ENOENT/)
    const fifth = await manager.finalAt(5 * EPOCH_BLOCKS)
    const checkpoint = fifth?.hash as string
    const operatorTrust = { epoch: 5, hash: checkpoint }
    expect(await joinWith(shelf, { ...told, operatorTrust })).toBe(true)
    await expectJoined()
    await rm(join(folder, 'chain'), { recursive: true })
    // Or from the main chain, which is read once.
    let reads = 0
    const anchors = () => {
      reads += 1
      return Promise.resolve([{ checkpoint, mainHeight: 100, index: 1 }])
    }
    const recent = () => (fifth?.header.timeMs as number) + limitOfTrust(manager.params)
    const clock = { ...systemClock, now: recent }
    expect(await joinWith(SnapshotDatabase.inMemory(), { clock, anchors })).toBe(true)
    expect(reads).toBe(1)
    await expectJoined()
  })

  test('stops with a clear word where certified branches differ and none is anchored', async () => {
    const forged = new CertifiedChain()
    forged.runTo(14)
    const payload = { selector: 0, value: { to: keyOf('bob').address, amount: 1n } } as const
    forged.append([forged.sample.byOwner(keyOf('alice'), payload)])
    forged.runTo(41)
    const truth = serverOf(manager, { shelf: served })
    const lie = serverOf(await managerOf(forged))
    const mixed = peersOf({
      liar: (request) => lie.answer(request),
      honest: (request) => truth.answer(request),
    })
    const shelf = SnapshotDatabase.inMemory()
    await expect(joinWith(shelf, { peers: mixed })).rejects.toThrow(ForkedNetworkError)
    await expect(joinWith(shelf, { peers: mixed })).rejects.toThrow(/an operator must decide/)
    // With the honest second checkpoint anchored it goes on, and the liar is of no use.
    const checkpoint = (await manager.finalAt(2 * EPOCH_BLOCKS))?.hash as string
    const anchors = () => Promise.resolve([{ checkpoint, mainHeight: 100, index: 1 }])
    expect(await joinWith(shelf, { peers: mixed, anchors })).toBe(true)
    await expectJoined()
    // Nor is the liar where the honest peer does not answer at once.
    let proofsAsked = 0
    const late = peersOf({
      liar: (request) => lie.answer(request),
      honest(request) {
        const isProofs = SyncRequestType.deserialize(request).kind === SyncRequestKind.epochProofs
        if (isProofs && proofsAsked++ === 0) return Promise.reject(new Error('no answer'))
        return truth.answer(request)
      },
    })
    await rm(join(folder, 'chain'), { recursive: true })
    const empty = SnapshotDatabase.inMemory()
    expect(await joinWith(empty, { peers: late, anchors })).toBe(true)
    await expectJoined()
  }, 60_000)
})

test('opening a database finds what was changed or is missing, behind records too', async () => {
  const { store } = manager
  const { genesis } = new CertifiedChain().sample
  const tip = await store.block((await store.tipHeight()) as number)
  if (!tip) throw new Error('a tip')
  const blocks = [{ ...tip, transactionIds: [], receipts: [] }]
  await openChain(store, genesis)
  const all = (await Array.fromAsync(store.stateEntries())).flat()
  for (const kind of ['i', 'w', 'a', 'e']) {
    const entry = all.find(({ key }) => key.startsWith(kind))
    if (!entry) throw new Error('an entry')
    const other = Uint8Array.from(entry.bytes)
    other[2] = (other[2] as number) ^ 1
    for (const bytes of [other, null]) {
      await store.commit({ blocks, state: [{ key: entry.key, bytes }] })
      await expect(openChain(store, genesis)).rejects.toThrow(/the database is damaged/)
    }
    await store.commit({ blocks, state: [entry] })
    await openChain(store, genesis)
  }
}, 60_000)
