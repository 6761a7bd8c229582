import { beforeAll, expect, test } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { LevelStore } from '../store/level-store.ts'
import { BlockSync } from './block-sync.ts'
import { SyncAnswerType, SyncRequestKind, SyncRequestType } from './sync-messages.ts'
import {
  envelopeOf,
  hopContext,
  managerOf,
  managerOn,
  peersOf,
  serverOf,
} from './testing/served-chain.ts'

const HEIGHT = 12
let chain: CertifiedChain
let ahead: ChainManager

beforeAll(async () => {
  await installNativeCrypto()
  chain = new CertifiedChain()
  chain.runTo(HEIGHT)
  ahead = await managerOf(chain)
}, 60_000)

const answerOf = (manager: ChainManager) => {
  const server = serverOf(manager)
  return (request: Uint8Array) => server.answer(request)
}

const never = (): Promise<Uint8Array> => new Promise(() => undefined)

async function newcomer(
  answers: Parameters<typeof peersOf>[0],
  onPeerFailed: (peer: string, error: unknown) => void = () => undefined,
  onBadPeer: (peer: string) => void = () => undefined,
) {
  const manager = await managerOn(await LevelStore.inMemory())
  const { crypto } = hopContext()
  const peers = peersOf(answers)
  const exclusively = (run: () => Promise<void>) => run()
  const told = { onPeerFailed, onBadPeer }
  return { manager, sync: new BlockSync({ manager, peers, crypto, exclusively, ...told }) }
}

test('a peer that hangs holds up neither the blocks nor the count of level peers', async () => {
  const { manager, sync } = await newcomer({ hangs: never, a: answerOf(ahead), b: answerOf(ahead) })
  void sync.catchUp()
  await expect.poll(() => manager.final.hash).toBe(ahead.final.hash)
  await expect.poll(() => sync.levelWith).toBe(2)
})

test('peers that fail, talk nonsense or too much are left for one that does not', async () => {
  const { manager, sync } = await newcomer({
    fails: () => Promise.reject(new Error('reset')),
    nonsense: () => Promise.resolve(Uint8Array.of(1, 2, 3)),
    talks: () => Promise.resolve(new Uint8Array(100_000)),
    ahead: answerOf(ahead),
  })
  expect(await sync.catchUp()).toBe(true)
  expect(manager.final.hash).toBe(ahead.final.hash)
  expect(sync.levelWith).toBe(1)
})

test('nobody is followed for a lead that consensus closes by itself', async () => {
  const { manager, sync } = await newcomer({ a: answerOf(ahead) })
  expect(await sync.catchUp(HEIGHT + 1)).toBe(false)
  expect(manager.final.header.height).toBe(0)
  expect(sync.levelWith).toBe(0)
})

/** Calls back with each height from which a range is asked for. */
const overheard =
  (onRange: (from: number) => Promise<void> | void): ((bytes: Uint8Array) => Promise<Uint8Array>) =>
  async (bytes) => {
    const { kind, from } = SyncRequestType.deserialize(bytes)
    if (kind === SyncRequestKind.range) await onRange(from)
    return serverOf(ahead).answer(bytes)
  }

test('the next range travels while one is executed', async () => {
  const manager = await managerOn(await LevelStore.inMemory())
  const events: string[] = []
  const sync = new BlockSync({
    manager,
    peers: peersOf({ a: overheard((from) => void events.push(`asked ${from}`)) }),
    crypto: hopContext().crypto,
    exclusively: async (run) => {
      events.push('executes')
      await run()
      events.push(`at ${manager.final.header.height}`)
    },
  })
  await sync.catchUp()
  expect(events).toEqual(['asked 1', 'asked 11', 'executes', 'at 10', 'executes', 'at 12'])
})

test('a range that never comes costs nothing of the one before it', async () => {
  const failed: string[] = []
  const lost = (from: number) => (from > 1 ? Promise.reject(new Error('reset')) : undefined)
  const { manager, sync } = await newcomer({ a: overheard(lost) }, (peer, error) => {
    failed.push(`${peer}: ${(error as Error).message}`)
  })
  expect(await sync.catchUp()).toBe(true)
  expect(manager.final.header.height).toBe(10)
  expect(failed).toEqual(['a: reset'])
})

test('nobody is blamed where consensus moved the head while blocks travelled', async () => {
  const bad: string[] = []
  const moved = async (from: number) => {
    if (from > 1 || manager.final.header.height > 0) return
    const blocks = chain.records.slice(1, 4).map(envelopeOf)
    for (const block of blocks) await manager.validateBlock(block)
    const { certificate } = chain.records[3] as (typeof chain.records)[number]
    if (!certificate) throw new Error('block 3 is certified')
    await manager.commitBlocks({ blocks, certificate, reproposals: [] })
  }
  const { manager, sync } = await newcomer({ a: overheard(moved) }, undefined, (peer) => {
    bad.push(peer)
  })
  expect(await sync.catchUp()).toBe(true)
  expect(manager.final.hash).toBe(ahead.final.hash)
  expect(bad).toEqual([])
})

test('a peer that gives a block in nine seconds keeps nobody from those that are faster', async () => {
  const clock = { nowMs: 0 }
  let slowRanges = 0
  const isFollowed = Promise.withResolvers<void>()
  const fast = async (bytes: Uint8Array) => {
    await isFollowed.promise
    return serverOf(ahead).answer(bytes)
  }
  const slow = async (bytes: Uint8Array) => {
    const answer = SyncAnswerType.deserialize(await serverOf(ahead).answer(bytes))
    if (SyncRequestType.deserialize(bytes).kind === SyncRequestKind.range) {
      slowRanges += 1
      isFollowed.resolve()
      clock.nowMs += 9000
    }
    return SyncAnswerType.serialize({ ...answer, blocks: answer.blocks.slice(0, 1) })
  }
  const manager = await managerOn(await LevelStore.inMemory())
  const sync = new BlockSync({
    manager,
    peers: peersOf({ slow, fast }),
    crypto: hopContext().crypto,
    exclusively: (run) => run(),
    nowMs: () => clock.nowMs,
  })
  expect(await sync.catchUp()).toBe(true)
  expect(manager.final.hash).toBe(ahead.final.hash)
  // Its first one, and the next that was on its way when it was left; then it is asked once more
  // and has nothing that is new.
  expect(slowRanges).toBeLessThanOrEqual(3)
})

test('alone, a slow peer is followed to the end', async () => {
  const clock = { nowMs: 0 }
  const slow = (bytes: Uint8Array) => {
    clock.nowMs += 9000
    return serverOf(ahead).answer(bytes)
  }
  const manager = await managerOn(await LevelStore.inMemory())
  const sync = new BlockSync({
    manager,
    peers: peersOf({ slow }),
    crypto: hopContext().crypto,
    exclusively: (run) => run(),
    nowMs: () => clock.nowMs,
  })
  expect(await sync.catchUp()).toBe(true)
  expect(manager.final.hash).toBe(ahead.final.hash)
})

test('what a peer says of its height counts only while blocks come from it', async () => {
  const claims: (number | undefined)[] = []
  const boaster = async (bytes: Uint8Array) => {
    const { status, blocks } = SyncAnswerType.deserialize(await serverOf(ahead).answer(bytes))
    return SyncAnswerType.serialize({ status: { ...status, height: 10_000_000 }, blocks })
  }
  const { manager } = await newcomer({})
  const sync = new BlockSync({
    manager,
    peers: peersOf({ boaster }),
    crypto: hopContext().crypto,
    exclusively: (run) => run(),
    onProgress: () => claims.push(sync.claimedHeight),
  })
  expect(await sync.catchUp()).toBe(true)
  expect(claims).toEqual([10_000_000, 10_000_000])
  expect(sync.claimedHeight).toBeUndefined()
})
