import { beforeAll, expect, test } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { LevelStore } from '../store/level-store.ts'
import { BlockSync } from './block-sync.ts'
import { hopContext, managerOf, managerOn, peersOf, serverOf } from './testing/served-chain.ts'

const HEIGHT = 12
let ahead: ChainManager

beforeAll(async () => {
  await installNativeCrypto()
  const chain = new CertifiedChain()
  chain.runTo(HEIGHT)
  ahead = await managerOf(chain)
}, 60_000)

const answerOf = (manager: ChainManager) => {
  const server = serverOf(manager)
  return (request: Uint8Array) => server.answer(request)
}

const never = (): Promise<Uint8Array> => new Promise(() => undefined)

async function newcomer(answers: Parameters<typeof peersOf>[0]) {
  const manager = await managerOn(await LevelStore.inMemory())
  const { crypto } = hopContext()
  const peers = peersOf(answers)
  return {
    manager,
    sync: new BlockSync({ manager, peers, crypto, exclusively: (run) => run() }),
  }
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
