import { pino } from 'pino'
import { beforeAll, describe, expect, test } from 'vitest'
import { CertifiedChain, sameGenesis } from '../audit/testing/certified-chain.ts'
import { HistoryProofs } from '../manager/history-proofs.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf, UNITS } from '../rules/testing/sample-chain.ts'
import { LevelStore } from '../store/level-store.ts'
import { BlockSync } from '../sync/block-sync.ts'
import { EpochProofsAnswerType, SyncRequestKind, SyncRequestType } from '../sync/sync-messages.ts'
import type { SyncPeers } from '../sync/sync-peers.ts'
import {
  hopContext,
  managerOf,
  managerOn,
  peersOf,
  serverOf,
} from '../sync/testing/served-chain.ts'
import { systemClock } from '../driver/driver-clock.ts'
import { BranchChoice, ForkedNetworkError, SILENCE_MS, SilentPeersError } from './branch-choice.ts'

const EPOCH_BLOCKS = 10
const FORK_HEIGHT = 15
let honest: ChainManager
let forged: ChainManager

/** The same validators' keys sign both: what old keys can do once their stake is gone. */
function chainTo(height: number, forkHeight?: number): CertifiedChain {
  const chain = new CertifiedChain()
  while (chain.height < height) {
    const payment = { to: keyOf('bob').address, amount: 7n * UNITS }
    const isForged = chain.height + 1 === forkHeight
    chain.append(
      isForged ? [chain.sample.byOwner(keyOf('alice'), { selector: 0, value: payment })] : [],
    )
  }
  return chain
}

beforeAll(async () => {
  await installNativeCrypto()
  honest = await managerOf(chainTo(42))
  forged = await managerOf(chainTo(61, FORK_HEIGHT))
}, 60_000)

type Answer = (request: Uint8Array) => Promise<Uint8Array>
const answerOf = (manager: ChainManager): Answer => {
  const server = serverOf(manager, { places: new HistoryProofs(manager.store) })
  return (request) => server.answer(request)
}

/** A node that replays blocks from genesis, among these peers. */
async function newcomer(
  peers: SyncPeers,
  anchored: readonly ChainManager[],
  before?: ChainManager,
  now = () => Date.now(),
) {
  const manager = before ?? (await managerOn(await LevelStore.inMemory()))
  const anchors = async () =>
    Promise.all(
      anchored.map(async (of, i) => {
        const checkpoint = (await of.finalAt(3 * EPOCH_BLOCKS))?.hash as string
        return { checkpoint, mainHeight: 100 + i, index: 0 }
      }),
    )
  const choice = new BranchChoice({
    genesis: sameGenesis(),
    peers,
    peersExpected: 0,
    anchors,
    store: manager.store,
    logger: pino({ level: 'silent' }),
    clock: { ...systemClock, now },
  })
  const sync = new BlockSync({
    manager,
    peers,
    crypto: hopContext().crypto,
    checkpointAfter: (head) => choice.checkpointAfter(head),
    exclusively: (run) => run(),
  })
  return { manager, choice, sync }
}

describe('full sync where old keys certified another past', () => {
  test('without fork choice the first branch is taken: this is what the rest prevents', async () => {
    const manager = await managerOn(await LevelStore.inMemory())
    const peers = peersOf({ liar: answerOf(forged), peer: answerOf(honest) })
    const { crypto } = hopContext()
    await new BlockSync({ manager, peers, crypto, exclusively: (run) => run() }).catchUp()
    expect(manager.final.hash).toBe(forged.final.hash)
  })

  test('follows the branch that was anchored first, whoever answers first', async () => {
    const peers = peersOf({ liar: answerOf(forged), peer: answerOf(honest) })
    const { manager, sync } = await newcomer(peers, [honest, forged])
    expect(await sync.catchUp()).toBe(true)
    // The last blocks, of an epoch that nobody proves yet, are certified by that epoch's set.
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('imports nothing where the main chain has anchored neither', async () => {
    const peers = peersOf({ liar: answerOf(forged), peer: answerOf(honest) })
    const { manager, choice, sync } = await newcomer(peers, [])
    await sync.catchUp()
    expect(manager.final.header.height).toBe(0)
    await expect(choice.checkpointAfter(manager.final.header)).rejects.toThrow(ForkedNetworkError)
    await expect(choice.checkpointAfter(manager.final.header)).rejects.toThrow(/epoch 2/)
  })

  test('a peer that shows the honest proofs and serves forged blocks gets nothing in', async () => {
    const [lie, truth] = [answerOf(forged), answerOf(honest)]
    const { manager, sync } = await newcomer(peersOf({ two: mixed(lie, truth) }), [honest])
    await sync.catchUp()
    // Up to the fork both are the same chain.
    expect(manager.final.header.height).toBe(EPOCH_BLOCKS)
  })

  test('a range inside an epoch is taken only with its place under the checkpoint', async () => {
    const [lie, truth] = [answerOf(forged), answerOf(honest)]
    const inside = async (answer: Answer, request: Uint8Array) => {
      const asked = SyncRequestType.deserialize(request)
      const isRange = asked.kind === SyncRequestKind.range
      // Ends before the epoch does, behind the fork.
      const count = Math.min(asked.count, isRange ? 17 - asked.from : asked.count)
      return answer(SyncRequestType.serialize({ ...asked, count: Math.max(count, 0) }))
    }
    const lying = await newcomer(peersOf({ a: (r) => inside(mixed(lie, truth), r) }), [])
    await lying.sync.catchUp()
    expect(lying.manager.final.header.height).toBe(EPOCH_BLOCKS)
    const honestOne = await newcomer(peersOf({ a: (r) => inside(truth, r) }), [])
    await honestOne.sync.catchUp()
    expect(honestOne.manager.final.header.height).toBe(16)
  })

  test('a node that was away goes on from its own chain, and never leaves it', async () => {
    const early = await newcomer(peersOf({ a: answerOf(honest) }), [])
    await early.sync.catchUp()
    const peers = peersOf({ liar: answerOf(forged) })
    const { manager, sync } = await newcomer(peers, [forged], early.manager)
    expect(await sync.catchUp()).toBe(false)
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('while an honest peer is silent, a liar is not the only one who decides', async () => {
    const [lie, truth] = [answerOf(forged), answerOf(honest)]
    let isSilent = true
    const late: Answer = (request) =>
      isSilent ? Promise.reject(new Error('no answer')) : truth(request)
    const startMs = Date.now()
    let nowMs = startMs
    const { manager, choice, sync } = await newcomer(
      peersOf({ liar: lie, late }),
      [honest, forged],
      undefined,
      () => nowMs,
    )
    await sync.catchUp()
    nowMs = startMs + SILENCE_MS - 1
    await sync.catchUp()
    expect(manager.final.header.height).toBe(0)
    await expect(choice.checkpointAfter(manager.final.header)).rejects.toThrow(SilentPeersError)
    isSilent = false
    await sync.catchUp()
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('whoever stays silent holds nobody up for ever', async () => {
    const silent: Answer = () => Promise.reject(new Error('no answer'))
    const startMs = Date.now()
    let nowMs = startMs
    const peers = peersOf({ silent, peer: answerOf(honest) })
    const { manager, sync } = await newcomer(peers, [], undefined, () => nowMs)
    await sync.catchUp()
    expect(manager.final.header.height).toBe(0)
    nowMs = startMs + SILENCE_MS
    await sync.catchUp()
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('a peer that proves an epoch more than it should is not believed', async () => {
    const truth = answerOf(honest)
    const spoilt: Answer = async (request) => {
      const answer = await truth(request)
      const { kind } = SyncRequestType.deserialize(request)
      if (kind !== SyncRequestKind.epochProofs) return answer
      const { status } = EpochProofsAnswerType.deserialize(answer)
      return EpochProofsAnswerType.serialize({ status, proofs: [Uint8Array.of(1)] })
    }
    const { manager, sync } = await newcomer(peersOf({ spoilt, peer: truth }), [])
    await sync.catchUp()
    expect(manager.final.hash).toBe(honest.final.hash)
  })
})

/** Honest proofs, the liar's blocks. */
function mixed(lie: Answer, truth: Answer): Answer {
  return (request) => {
    const { kind } = SyncRequestType.deserialize(request)
    return kind === SyncRequestKind.range ? lie(request) : truth(request)
  }
}
