import { afterEach, describe, expect, test } from 'vitest'
import { checkConfirmQuorum, type Confirm } from '../elastos/confirm.ts'
import {
  asInternalHash,
  type DisplayHash,
  fromDisplayHash,
  toDisplayHash,
} from '../elastos/hash-orientation.ts'
import { ELASTOS_REG_NET, type HeaderContext } from '../elastos/header-rules.ts'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'
import { signConfirm } from '../elastos/sign-confirm.ts'
import { ArbiterSets } from './arbiter-sets.ts'
import type { BuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import { BURIED_BLOCKS, ConfirmCheck, type ConfirmStatus } from './confirm-check.ts'
import { type FollowerOptions, MainChainFollower } from './follower.ts'
import { createMainChainClient, MainChainRpcError } from './main-chain-client.ts'
import type { MainBlockSource, NamedSource } from './main-sources.ts'
import { P2pMainNode } from './p2p-main-node.ts'
import { Cleanups, mineBlocks, startTestMainChain } from '../main-chain/testing/test-main-chain.ts'

const STRANGERS = [1, 2, 3, 4, 5].map((fill) => new Uint8Array(32).fill(fill))
const BY_KEYS = { arbiters: LOCAL_ARBITER_KEYS } as const
const BY_NODES = { arbiters: 'nodes' } as const
const cleanups = new Cleanups()
afterEach(() => cleanups.run())

const startChain = (more: Parameters<typeof startTestMainChain>[1] = {}) =>
  startTestMainChain(cleanups, { p2p: { port: 0 }, ...more })

const rpcOf = (chain: BuiltInMainChain) => createMainChainClient({ url: chain.rpcUrl })

interface Following extends Partial<FollowerOptions> {
  readonly start?: HeaderContext
}

function follow(chain: BuiltInMainChain, changes: Following = {}): MainChainFollower {
  const follower = new MainChainFollower({
    client: rpcOf(chain),
    params: ELASTOS_REG_NET,
    start: chain.genesisContext(),
    confirms: BY_KEYS,
    ...changes,
  })
  cleanups.add(() => follower.stop())
  return follower
}

const nodeAt = (chain: BuiltInMainChain, height: number) => {
  const node = chain.ledger.at(height)
  if (!node) throw new Error(`no block ${height}`)
  return node
}

/** How many headers a proposer on genesis gets. */
const served = (chain: BuiltInMainChain, follower: MainChainFollower) =>
  follower.headersAfter({ height: 0, hash: chain.genesisHash }).length

/** The chain's node with other answers about Confirms. */
const lying = (
  chain: BuiltInMainChain,
  getConfirm: (hash: DisplayHash, honest: Confirm | undefined) => Confirm | undefined,
): MainBlockSource => {
  const client = rpcOf(chain)
  return {
    ...client,
    getConfirm: async (hash) => getConfirm(hash, await client.getConfirm(hash)),
  }
}

describe('Confirms of the built-in main chain', () => {
  test('every block has one over both protocols, but none of the proof-of-work mode', async () => {
    const chain = await startChain()
    await mineBlocks(chain, 12)
    await chain.setPowMode(true)
    await mineBlocks(chain, 2)
    await chain.setPowMode(false)
    await mineBlocks(chain, 1)
    const rpc = rpcOf(chain)
    const p2p = new P2pMainNode({
      host: '127.0.0.1',
      port: chain.p2pPort ?? 0,
      magic: MainNetMagic.regression,
      start: chain.genesisContext().previous,
    })
    cleanups.add(() => p2p.close())
    const signers = new Set<string>()
    for (let height = 0; height <= chain.height; height++) {
      const { hash } = nodeAt(chain, height)
      const confirm = await rpc.getConfirm(toDisplayHash(hash))
      expect(await p2p.getConfirm(toDisplayHash(hash))).toEqual(confirm)
      if (height === 0 || (height >= 13 && height <= 16)) {
        expect(confirm, `block ${height}`).toBeUndefined()
      } else {
        if (!confirm) expect.fail(`block ${height} has no Confirm`)
        expect(checkConfirmQuorum(confirm, hash, LOCAL_ARBITER_KEYS)).toMatchObject({ ok: true })
        for (const { signer } of confirm.votes) signers.add(String(signer))
      }
    }
    expect(signers.size).toBe(LOCAL_ARBITER_KEYS.length)
    expect(await rpc.getArbiters()).toEqual({ keys: LOCAL_ARBITER_KEYS, count: 5 })
    expect(await rpc.call('getconfirmbyheight', { height: '12' })).toMatchObject({
      blockhash: toDisplayHash(nodeAt(chain, 12).hash),
      viewoffset: 0,
    })
    const missing = rpc.call('getconfirmbyheight', { height: 13, verbosity: 0 })
    await expect(missing).rejects.toThrow(MainChainRpcError)
  })

  test('a block that left the best chain has none any more', async () => {
    const chain = await startChain()
    await mineBlocks(chain, 3)
    const left = nodeAt(chain, 3)
    await chain.reorganise(1)
    expect(chain.confirmOf(left)).toBeUndefined()
    expect(chain.confirmOf(nodeAt(chain, 3))).toBeDefined()
  })
})

describe('a follower that asks for Confirms', () => {
  test('serves what arbiters confirmed, read over either protocol', async () => {
    const chain = await startChain()
    await mineBlocks(chain, 30)
    const p2p = new P2pMainNode({
      host: '127.0.0.1',
      port: chain.p2pPort ?? 0,
      magic: MainNetMagic.regression,
      start: chain.genesisContext().previous,
    })
    for (const client of [rpcOf(chain), p2p]) {
      const follower = follow(chain, { client })
      await follower.poll()
      expect(served(chain, follower)).toBe(30)
      expect(follower.confirmedHeight).toBe(30)
      expect(follower.status().confirms).toEqual({
        height: 30,
        mode: 'dpos',
        waiting: 0,
        reason: undefined,
      })
    }
  })

  test('serves a header when others had time to read it', async () => {
    const chain = await startChain({ blocks: 2 })
    const hasty = follow(chain, { confirms: { ...BY_KEYS, settleMs: 1 } })
    const patient = follow(chain, { confirms: { ...BY_KEYS, settleMs: 24 * 3600_000 } })
    for (const follower of [hasty, patient]) await follower.poll()
    await expect.poll(() => served(chain, hasty)).toBe(2)
    expect(served(chain, patient)).toBe(0)
    // To vote for it needs no time.
    expect(patient.confirmedHeight).toBe(2)
  })

  test('goes over reorganisations that the arbiters confirm', async () => {
    const chain = await startChain()
    await mineBlocks(chain, 5)
    const follower = follow(chain)
    await follower.poll()
    await chain.reorganise(2)
    await follower.poll()
    expect(follower.tip.hash).toEqual(chain.ledger.tip.hash)
    expect(served(chain, follower)).toBe(6)
  })

  test('hours of proof of work count by their work, and arbiters are asked for again afterwards', async () => {
    const chain = await startChain()
    const news: ConfirmStatus[] = []
    const follower = follow(chain, { onConfirms: (status) => news.push(status) })
    await mineBlocks(chain, 3)
    await chain.setPowMode(true)
    await mineBlocks(chain, 20)
    await follower.poll()
    expect(served(chain, follower)).toBe(24)
    expect(follower.status().confirms).toMatchObject({ mode: 'pow', waiting: 0 })
    await chain.reorganise(6)
    await follower.poll()
    expect(served(chain, follower)).toBe(25)
    await chain.setPowMode(false)
    await mineBlocks(chain, 2)
    await follower.poll()
    expect(served(chain, follower)).toBe(28)
    expect(follower.status().confirms).toMatchObject({ mode: 'dpos', height: 28 })
    expect(news.map(({ mode, waiting }) => ({ mode, waiting }))).toEqual([
      { mode: 'pow', waiting: 0 },
      { mode: 'dpos', waiting: 0 },
    ])
  })

  test('the mode is known where the switch has been forgotten, and waited for where it was never seen', async () => {
    const chain = await startChain()
    await mineBlocks(chain, 3)
    await chain.setPowMode(true)
    const start = chain.ledger.contextAfter(chain.ledger.tip)
    const follower = follow(chain)
    await mineBlocks(chain, 1100)
    await follower.poll()
    follower.release(chain.height)
    await mineBlocks(chain, 5)
    await follower.poll()
    expect(follower.confirmedHeight).toBe(chain.height)
    const late = follow(chain, { start })
    await late.poll()
    // Only what lies a day deep.
    expect(late.confirmedHeight).toBe(chain.height - BURIED_BLOCKS)
    expect(late.status().confirms?.reason).toContain('main node: has none')
    await chain.setPowMode(false)
    await mineBlocks(chain, 1)
    await late.poll()
    expect(late.confirmedHeight).toBe(chain.height)
  })
})

describe('lying main nodes', () => {
  const other = asInternalHash(new Uint8Array(32).fill(3))
  const lies: Record<string, (hash: DisplayHash, honest?: Confirm) => Confirm | undefined> = {
    'no Confirm': () => undefined,
    'a Confirm of other keys': (hash) => signConfirm(fromDisplayHash(hash), STRANGERS),
    'a Confirm of too few arbiters': (hash) =>
      signConfirm(fromDisplayHash(hash), LOCAL_ARBITER_SECRETS.slice(0, 3)),
    'a Confirm in which one arbiter votes for those who do not': (hash) =>
      signConfirm(
        fromDisplayHash(hash),
        [0, 1, 2, 2].map((at) => LOCAL_ARBITER_SECRETS[at] as Uint8Array),
      ),
    'the Confirm of another block': () => signConfirm(other, LOCAL_ARBITER_SECRETS),
    'a Confirm of another block under the name of this one': (hash) => {
      const { votes, proposal } = signConfirm(other, LOCAL_ARBITER_SECRETS)
      return { votes, proposal: { ...proposal, blockHash: fromDisplayHash(hash) } }
    },
    'a Confirm with a changed signature': (_hash, honest) => {
      const [vote, ...votes] = honest?.votes ?? []
      if (!honest || !vote) return undefined
      const signature = vote.signature.map((byte, at) => (at === 9 ? byte ^ 1 : byte))
      return { ...honest, votes: [{ ...vote, signature }, ...votes] }
    },
  }

  test.each(Object.entries(lies))('%s is not enough', async (_name, lie) => {
    const chain = await startChain()
    await mineBlocks(chain, 5)
    const news: ConfirmStatus[] = []
    const client = lying(chain, lie)
    const follower = follow(chain, { client, onConfirms: (status) => news.push(status) })
    await follower.poll()
    await follower.poll()
    expect(follower.tip.height).toBe(5)
    expect(served(chain, follower)).toBe(0)
    expect(follower.confirmedHeight).toBe(0)
    expect(news).toHaveLength(1)
    expect(news[0]).toMatchObject({ waiting: 5, reason: expect.stringContaining('main node: ') })
    // One honest node beside the liar is enough.
    const two = follow(chain, { client, others: [{ name: 'other', client: rpcOf(chain) }] })
    await two.poll()
    expect(served(chain, two)).toBe(5)
  })

  test('a branch with more work leaves no confirmed block without a Confirm of its own', async () => {
    const chain = await startChain()
    const forked = await startChain({ arbiters: STRANGERS.map(p256PublicKey) })
    await mineBlocks(chain, 5)
    await mineBlocks(forked, 9)
    const others = [{ name: 'forked', client: rpcOf(forked) }]
    const careless = follow(chain, { others, confirms: undefined })
    await careless.poll()
    expect(careless.tip.height).toBe(9)
    const follower = follow(chain, { others })
    await follower.poll()
    expect(toDisplayHash(follower.tip.hash)).toBe(toDisplayHash(chain.ledger.tip.hash))
    const [, forkedStatus] = follower.status().sources
    expect(forkedStatus?.problem).toContain('leaves the confirmed block')
    // Read first, it is followed; the confirmed one takes its place, and what is served with it.
    const first = { client: rpcOf(forked), others: [{ name: 'main', client: rpcOf(chain) }] }
    const misled = follow(chain, first)
    await misled.poll()
    expect(toDisplayHash(misled.tip.hash)).toBe(toDisplayHash(chain.ledger.tip.hash))
    expect(served(chain, misled)).toBe(5)
    await mineBlocks(forked, 3)
    await misled.poll()
    expect(toDisplayHash(misled.tip.hash)).toBe(toDisplayHash(chain.ledger.tip.hash))
  })
})

describe('whose Confirms count', () => {
  const source = (
    keys: readonly Uint8Array[] | Error,
    count = keys instanceof Error ? 0 : keys.length,
  ) =>
    ({
      name: 'node',
      client: {
        getArbiters: () =>
          keys instanceof Error ? Promise.reject(keys) : Promise.resolve({ keys, count }),
      } as unknown as MainBlockSource,
    }) satisfies NamedSource
  const ours = LOCAL_ARBITER_KEYS
  const theirs = STRANGERS.map(p256PublicKey)

  test('two nodes must agree, in any order, and no two others disagree', async () => {
    const agreed = async (...sources: NamedSource[]) => {
      const sets = new ArbiterSets('nodes')
      await sets.refresh(sources)
      return sets.all
    }
    expect(await agreed()).toEqual([])
    expect(await agreed(source(ours))).toEqual([])
    expect(await agreed(source(ours), source(theirs))).toEqual([])
    expect(await agreed(source(ours), source(ours, 6))).toEqual([])
    expect(await agreed(source(ours), source(new Error('gone')))).toEqual([])
    expect(await agreed(source(ours), source([...ours].reverse()))).toHaveLength(1)
    expect(await agreed(source(theirs), source(ours), source(ours))).toEqual([
      { keys: ours, count: 5 },
    ])
    const camps = [source(ours), source(ours), source(theirs), source(theirs)]
    expect(await agreed(...camps)).toEqual([])
  })

  test('a turn and the one before it count, no older one', async () => {
    const sets = new ArbiterSets('nodes')
    const turns = [ours, theirs, ours.slice(1)]
    for (const keys of turns) {
      expect(await sets.refresh([source(keys), source(keys)])).toBe(true)
      expect(await sets.refresh([source(keys), source(keys)])).toBe(false)
    }
    expect(sets.all.map(({ keys }) => keys)).toEqual([ours.slice(1), theirs])
    const given = new ArbiterSets(ours)
    expect(await given.refresh([source(theirs), source(theirs)])).toBe(false)
    expect(given.all).toEqual([{ keys: ours, count: 5 }])
  })

  test('a follower learns them from its nodes, and the next turn when it comes', async () => {
    const chain = await startChain()
    await mineBlocks(chain, 4)
    let keys: readonly Uint8Array[] = ours
    let secrets: readonly Uint8Array[] = LOCAL_ARBITER_SECRETS
    const client = {
      ...lying(chain, (hash) => signConfirm(fromDisplayHash(hash), secrets)),
      getArbiters: () => Promise.resolve({ keys, count: keys.length }),
    }
    const others = [{ name: 'second', client }]
    const alone = follow(chain, { client, confirms: BY_NODES })
    await alone.poll()
    expect(alone.status().confirms).toMatchObject({
      height: 0,
      reason: 'no two main nodes name the same arbiters',
    })
    const follower = follow(chain, { client, others, confirms: BY_NODES })
    await follower.poll()
    expect(served(chain, follower)).toBe(4)
    secrets = STRANGERS
    await mineBlocks(chain, 2)
    await follower.poll()
    expect(served(chain, follower)).toBe(4)
    keys = theirs
    await follower.poll()
    expect(served(chain, follower)).toBe(6)
  })

  test('a header a day deep counts by its work', () => {
    const check = new ConfirmCheck(BY_KEYS, {
      height: 10,
      hash: asInternalHash(new Uint8Array(32)),
    })
    const view = (height: number) => ({
      tip: { height, hash: asInternalHash(new Uint8Array(32)) },
      blockAt: () => undefined,
      isPowAt: () => false,
    })
    expect(check.heightIn(view(9))).toBe(9)
    expect(check.heightIn(view(10 + BURIED_BLOCKS))).toBe(10)
    expect(check.heightIn(view(11 + BURIED_BLOCKS))).toBe(11)
  })
})
