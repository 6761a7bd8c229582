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
import { limitOfTrust, type OperatorTrust } from '../sync/branch-trust.ts'
import {
  BranchChoice,
  ForkedNetworkError,
  SILENCE_MS,
  SilentPeersError,
  UnanchoredBranchError,
} from './branch-choice.ts'

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

interface Circumstances {
  readonly now?: () => number
  readonly operatorTrust?: OperatorTrust
  readonly anchoredEpoch?: number
  readonly before?: ChainManager
}

/** Some epochs after the newest block of either. */
const soon = () => forged.final.header.timeMs + 60_000

/** A node that replays blocks from genesis, among these peers. */
async function newcomer(
  peers: SyncPeers,
  anchored: readonly ChainManager[],
  { before, anchoredEpoch = 3, now = soon, operatorTrust }: Circumstances = {},
) {
  const manager = before ?? (await managerOn(await LevelStore.inMemory()))
  const anchors = async () =>
    Promise.all(
      anchored.map(async (of, i) => {
        const checkpoint = (await of.finalAt(anchoredEpoch * EPOCH_BLOCKS))?.hash as string
        return { checkpoint, mainHeight: 100 + i, index: 0 }
      }),
    )
  const choice = new BranchChoice({
    genesis: sameGenesis(),
    peers,
    peersExpected: 0,
    anchors,
    operatorTrust,
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
    const { manager, sync } = await newcomer(peers, [forged], { before: early.manager })
    expect(await sync.catchUp()).toBe(false)
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('while an honest peer is silent, a liar is not the only one who decides', async () => {
    const [lie, truth] = [answerOf(forged), answerOf(honest)]
    let isSilent = true
    const late: Answer = (request) =>
      isSilent ? Promise.reject(new Error('no answer')) : truth(request)
    const startMs = soon()
    let nowMs = startMs
    const { manager, choice, sync } = await newcomer(
      peersOf({ liar: lie, late }),
      [honest, forged],
      { now: () => nowMs },
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
    const startMs = soon()
    let nowMs = startMs
    const peers = peersOf({ silent, peer: answerOf(honest) })
    const { manager, sync } = await newcomer(peers, [], { now: () => nowMs })
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

describe('one history that all peers prove', () => {
  const forgers = () => peersOf({ one: answerOf(forged), two: answerOf(forged) })
  const honestOnes = () => peersOf({ one: answerOf(honest), two: answerOf(honest) })
  const { params, block } = sameGenesis()
  const limitMs = limitOfTrust(params)
  const timeOf = async (epoch: number) =>
    (await honest.finalAt(epoch * EPOCH_BLOCKS))?.header.timeMs as number
  const hashOf = async (manager: ChainManager, epoch: number) =>
    (await manager.finalAt(epoch * EPOCH_BLOCKS))?.hash as string

  /** A node that went off at the end of the first epoch. */
  async function atHeight10(): Promise<ChainManager> {
    const first = async (request: Uint8Array) => {
      const asked = SyncRequestType.deserialize(request)
      if (asked.kind !== SyncRequestKind.range) return answerOf(honest)(request)
      const count = Math.max(0, Math.min(asked.count, EPOCH_BLOCKS + 1 - asked.from))
      return answerOf(honest)(SyncRequestType.serialize({ ...asked, count }))
    }
    const { manager, sync } = await newcomer(peersOf({ first }), [])
    await sync.catchUp()
    expect(manager.final.header.height).toBe(EPOCH_BLOCKS)
    return manager
  }

  async function expectRefused(node: Awaited<ReturnType<typeof newcomer>>, why: RegExp) {
    await node.sync.catchUp()
    expect(node.manager.final.header.height).toBe(0)
    const answer = node.choice.checkpointAfter(node.manager.final.header)
    await expect(answer).rejects.toThrow(UnanchoredBranchError)
    await expect(node.choice.checkpointAfter(node.manager.final.header)).rejects.toThrow(why)
  }

  test('is not taken from forgers alone once the keys may have nothing at stake', async () => {
    const now = () => block.header.timeMs + limitMs + 1
    const { hash } = forged.final
    expect(hash).not.toBe(honest.final.hash)
    const compare = new RegExp(`--trusted-checkpoint 6:${await hashOf(forged, 6)}`)
    await expectRefused(await newcomer(forgers(), [], { now }), compare)
    // That the honest history is anchored is of no help to theirs, nor is what both share.
    await expectRefused(await newcomer(forgers(), [honest], { now }), /none later than epoch 0/)
    const late = (await timeOf(1)) + limitMs + 1
    const shared = { now: () => late, anchoredEpoch: 1 }
    await expectRefused(await newcomer(forgers(), [honest], shared), /none later than epoch 1/)
  })

  test('is taken while the network is younger than the time in which stake leaves', async () => {
    const now = () => block.header.timeMs + limitMs
    const { manager, sync } = await newcomer(honestOnes(), [], { now })
    expect(await sync.catchUp()).toBe(true)
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('is taken until its newest anchored checkpoint is too old, and no longer', async () => {
    const endMs = (await timeOf(3)) + limitMs
    const now = () => endMs
    const { manager, sync } = await newcomer(honestOnes(), [honest], { now })
    expect(await sync.catchUp()).toBe(true)
    expect(manager.final.hash).toBe(honest.final.hash)
    const late = await newcomer(honestOnes(), [honest], { now: () => endMs + 1 })
    await expectRefused(late, /none later than epoch 3/)
  })

  test('goes on from its own head without the main chain while that is not long ago', async () => {
    const before = await atHeight10()
    const endMs = (await timeOf(1)) + limitMs
    const now = () => endMs
    const { manager, sync } = await newcomer(honestOnes(), [], { before, now })
    expect(await sync.catchUp()).toBe(true)
    expect(manager.final.hash).toBe(honest.final.hash)
  })

  test('an operator vouches for a checkpoint, and for nothing that lacks it', async () => {
    const now = () => block.header.timeMs + 100 * limitMs
    const trust = { epoch: 2, hash: await hashOf(honest, 2) }
    const told = { now, operatorTrust: trust }
    const { manager, sync } = await newcomer(honestOnes(), [], told)
    expect(await sync.catchUp()).toBe(true)
    expect(manager.final.hash).toBe(honest.final.hash)
    // It decides between two as well, without any anchor.
    const both = peersOf({ liar: answerOf(forged), peer: answerOf(honest) })
    const chosen = await newcomer(both, [forged], told)
    expect(await chosen.sync.catchUp()).toBe(true)
    expect(chosen.manager.final.hash).toBe(honest.final.hash)
    const none = /no peer proves the trusted checkpoint 2:/
    await expectRefused(await newcomer(forgers(), [forged], told), none)
    // Passed already, it is no reason to believe what comes after.
    const before = await atHeight10()
    const passed = { epoch: 1, hash: await hashOf(honest, 1) }
    const { choice } = await newcomer(forgers(), [], { before, now, operatorTrust: passed })
    const answer = choice.checkpointAfter(before.final.header)
    await expect(answer).rejects.toThrow(/none later than epoch 1/)
  })

  test('whoever owns all peers may take any history, but never one of two', async () => {
    const now = () => block.header.timeMs + 100 * limitMs
    const any = { now, operatorTrust: 'any' } as const
    const { manager, sync } = await newcomer(honestOnes(), [], any)
    expect(await sync.catchUp()).toBe(true)
    expect(manager.final.hash).toBe(honest.final.hash)
    const both = peersOf({ liar: answerOf(forged), peer: answerOf(honest) })
    const { choice } = await newcomer(both, [], any)
    await expect(choice.checkpointAfter(block.header)).rejects.toThrow(ForkedNetworkError)
  })
})

/** Honest proofs, the liar's blocks. */
function mixed(lie: Answer, truth: Answer): Answer {
  return (request) => {
    const { kind } = SyncRequestType.deserialize(request)
    return kind === SyncRequestKind.range ? lie(request) : truth(request)
  }
}
