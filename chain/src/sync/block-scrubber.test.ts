import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EVENTFUL_HEIGHT, eventfulChain } from '../audit/testing/certified-chain.ts'
import type { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { bytesToHex, concatBytes, utf8ToBytes } from '../bytes/hex.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { openChain } from '../node/open-chain.ts'
import { heightKey, Prefix, u64Key } from '../store/layout.ts'
import type { Database } from '../store/database.ts'
import { LevelStore } from '../store/level-store.ts'
import { BlockScrubber } from './block-scrubber.ts'
import type { SyncPeers } from './sync-peers.ts'
import { SyncAnswerType, SyncRequestKind, syncRequest } from './sync-messages.ts'
import { hopContext, managerOf, peersOf, serverOf } from './testing/served-chain.ts'

let chain: CertifiedChain
let healthy: ChainManager
let manager: ChainManager
let db: Database
let store: LevelStore

beforeAll(async () => {
  await installNativeCrypto()
  chain = eventfulChain()
  healthy = await managerOf(chain)
}, 60_000)
beforeEach(async () => {
  const options = { keyEncoding: 'view', valueEncoding: 'view', storeEncoding: 'view' } as const
  db = new MemoryLevel<Uint8Array, Uint8Array>(options) as unknown as Database
  store = await LevelStore.over(db)
  manager = await managerOf(chain, undefined, store)
})

const nobody: SyncPeers = { peers: () => [], ask: () => Promise.reject(new Error('nobody')) }
const honest = () => peersOf({ honest: (request) => serverOf(healthy).answer(request) })

function scrubberWith(peers: SyncPeers): BlockScrubber {
  return new BlockScrubber({
    store,
    params: manager.params,
    crypto: hopContext().crypto,
    validatorsOf: (epoch) => manager.validators(epoch),
    final: () => manager.final,
    peers,
    logger: pino({ level: 'silent' }),
  })
}

async function wholePass(scrubber: BlockScrubber): Promise<void> {
  const { passes } = scrubber.status
  for (let turns = 0; scrubber.status.passes === passes; turns++) {
    if (turns > 2 * EVENTFUL_HEIGHT) throw new Error('a pass does not end')
    await scrubber.turn()
  }
}

async function flip(key: Uint8Array, at?: number): Promise<void> {
  const value = Uint8Array.from((await db.get(key)) as Uint8Array)
  const place = at ?? value.length - 1
  value[place] = (value[place] as number) ^ 0x10
  await db.put(key, value)
}

async function contentOf(database: Database): Promise<string[]> {
  const all: string[] = []
  for await (const [key, value] of database.iterator()) {
    all.push(`${bytesToHex(key)} ${bytesToHex(value)}`)
  }
  return all
}

const blockKey = (prefix: string, height: number) => heightKey(prefix, height)

describe('reading the chain again', () => {
  test('a whole chain passes, and nothing is written', async () => {
    const before = await contentOf(db)
    const scrubber = scrubberWith(nobody)
    await wholePass(scrubber)
    await wholePass(scrubber)
    expect(scrubber.status).toMatchObject({ passes: 2, repaired: 0, damaged: [] })
    expect(scrubber.status.checked).toBeGreaterThanOrEqual(2 * EVENTFUL_HEIGHT)
    expect(await contentOf(db)).toEqual(before)
  })

  test('it rests after a pass, so that a short chain costs nothing', async () => {
    const scrubber = scrubberWith(nobody)
    const { pauseMs } = scrubber
    await scrubber.turn()
    expect(scrubber).toMatchObject({ pauseMs, status: { passes: 0 } })
    await wholePass(scrubber)
    expect(scrubber.pauseMs).toBeGreaterThan(1000 * pauseMs)
    await scrubber.turn()
    expect(scrubber.pauseMs).toBe(pauseMs)
  })

  test('a block that nobody gave is asked for again without a rest', async () => {
    await flip(blockKey(Prefix.block, 4))
    const scrubber = scrubberWith(nobody)
    const { pauseMs } = scrubber
    await wholePass(scrubber)
    expect(scrubber).toMatchObject({ pauseMs, status: { damaged: [4] } })
  })

  test('every kind of record that rots is as it was after one pass', async () => {
    const before = await contentOf(db)
    const hash = (await store.hashAt(17)) as Uint8Array
    const [someId] = await db.keys({ gte: utf8ToBytes('t'), lt: utf8ToBytes('u') }).all()
    const keys = [
      blockKey(Prefix.block, 4),
      blockKey(Prefix.justification, 12),
      blockKey(Prefix.certificate, 20),
      blockKey(Prefix.checksum, 33),
      blockKey(Prefix.hashAt, 40),
      blockKey(Prefix.epochProof, 3),
      concatBytes(utf8ToBytes(Prefix.hash), hash),
      someId as Uint8Array,
    ]
    for (const key of keys) await flip(key)
    expect(await contentOf(db)).not.toEqual(before)
    const scrubber = scrubberWith(honest())
    await wholePass(scrubber)
    expect(scrubber.status.damaged).toEqual([])
    expect(await contentOf(db)).toEqual(before)
  })

  test('records that LevelDB lost come back, too', async () => {
    const before = await contentOf(db)
    for (const height of [4, 20, 21, 22]) await db.del(blockKey(Prefix.block, height))
    await db.del(blockKey(Prefix.hashAt, 20))
    await db.del(blockKey(Prefix.epochProof, 4))
    await wholePass(scrubberWith(honest()))
    expect(await contentOf(db)).toEqual(before)
  })

  test('a damaged block is served to nobody, and reported until a peer has it', async () => {
    await flip(blockKey(Prefix.block, 31))
    const ask = async (kind: number, height: number) => {
      const hash = (await healthy.store.hashAt(height)) as Uint8Array
      const request = syncRequest(kind, { from: height, count: 4, hash })
      return SyncAnswerType.deserialize(await serverOf(manager).answer(request)).blocks
    }
    expect(await ask(SyncRequestKind.range, 31)).toEqual([])
    expect(await ask(SyncRequestKind.byHash, 31)).toEqual([])
    expect(await ask(SyncRequestKind.byHash, 30)).toHaveLength(1)
    const served: Record<string, (request: Uint8Array) => Promise<Uint8Array>> = {}
    const scrubber = scrubberWith(peersOf(served))
    await wholePass(scrubber)
    expect(scrubber.status.damaged).toEqual([31])
    // It comes from whoever has it, in the next turn, wherever the pass is.
    served['honest'] = (request) => serverOf(healthy).answer(request)
    await scrubber.turn()
    expect(scrubber.status).toMatchObject({ damaged: [], repaired: 1 })
    expect(await ask(SyncRequestKind.range, 31)).toHaveLength(4)
  })

  test('what a lying peer gives is not written', async () => {
    await flip(blockKey(Prefix.certificate, 20))
    const lies: ((block: Uint8Array) => void)[] = [
      (bytes) => bytes.set([9], bytes.length - 1),
      (bytes) => bytes.set([9], 40),
    ]
    for (const lie of lies) {
      const liar = async (request: Uint8Array) => {
        const answer = SyncAnswerType.deserialize(await serverOf(healthy).answer(request))
        for (const { block } of answer.blocks) lie(block)
        return SyncAnswerType.serialize(answer)
      }
      const uncertified = async (request: Uint8Array) => {
        const answer = SyncAnswerType.deserialize(await serverOf(healthy).answer(request))
        for (const block of answer.blocks) block.certificate = []
        return SyncAnswerType.serialize(answer)
      }
      const scrubber = scrubberWith(peersOf({ liar, uncertified }))
      await wholePass(scrubber)
      expect(scrubber.status).toMatchObject({ damaged: [20], repaired: 0 })
    }
  })

  test('receipts cannot be fetched: they are reported', async () => {
    const [key] = await db.keys({ gte: utf8ToBytes('r'), lt: utf8ToBytes('s') }).all()
    await flip(key as Uint8Array)
    const scrubber = scrubberWith(honest())
    await wholePass(scrubber)
    expect(scrubber.status.damaged).toHaveLength(1)
  })
})

describe('a start', () => {
  const opened = () => openChain(store, chain.sample.genesis)

  test('finds every flipped byte of the newest blocks', async () => {
    expect((await opened()).damaged).toEqual([])
    const { header } = manager.final
    for (const prefix of [Prefix.block, Prefix.justification, Prefix.certificate]) {
      const key = blockKey(prefix, header.height)
      const { length } = (await db.get(key)) as Uint8Array
      for (let at = 0; at < length; at += 23) {
        await flip(key, at)
        await expect(opened(), `${prefix} ${at}`).rejects.toThrow(/the database is damaged/)
        await flip(key, at)
      }
    }
    for (const height of [EVENTFUL_HEIGHT - 1, EVENTFUL_HEIGHT - 20]) {
      await flip(blockKey(Prefix.block, height))
      expect((await opened()).damaged).toEqual([height])
      await flip(blockKey(Prefix.block, height))
    }
  })

  test('finds signatures that are not of the set, though the bytes are those written', async () => {
    const height = EVENTFUL_HEIGHT - 2
    const stored = await store.block(height)
    if (!stored?.certificate) throw new Error('a certified block')
    const certificate = stored.certificate.slice()
    certificate.set([1, 2, 3], certificate.length - 3)
    await store.repair({ block: { ...stored, certificate, transactionIds: [] } })
    expect((await opened()).damaged).toEqual([height])
  })

  test('does not go on without the block that the epoch starts on', async () => {
    await db.put(blockKey(Prefix.hashAt, 50), u64Key(1))
    await expect(opened()).rejects.toThrow(/block 50, which the epoch starts on/)
  })
})
