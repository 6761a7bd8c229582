import { afterEach, describe, expect, test } from 'vitest'
import { ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import type { BuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import { type FollowerOptions, MainChainFollower } from './follower.ts'
import { createMainChainClient, MainChainUnreachableError } from './main-chain-client.ts'
import { dueSources, type MainBlockSource, MainSource } from './main-sources.ts'
import { Cleanups, mineBlocks, startTestMainChain } from '../main-chain/testing/test-main-chain.ts'

const cleanups = new Cleanups()
afterEach(() => cleanups.run())

const startChain = (blocks = 0) => startTestMainChain(cleanups, { blocks })
const clientOf = (chain: BuiltInMainChain) => createMainChainClient({ url: chain.rpcUrl })

function follow(
  chain: BuiltInMainChain,
  clients: readonly MainBlockSource[],
  changes: Partial<FollowerOptions> = {},
): MainChainFollower {
  const [client, ...rest] = clients as [MainBlockSource, ...MainBlockSource[]]
  return new MainChainFollower({
    client,
    others: rest.map((each, i) => ({ name: `other ${i}`, client: each })),
    params: ELASTOS_REG_NET,
    start: chain.genesisContext(),
    ...changes,
  })
}

describe('several main nodes', () => {
  test('one that lies about blocks is refused; the other is followed', async () => {
    const honest = await startChain(12)
    const client = clientOf(honest)
    const liar: MainBlockSource = {
      ...client,
      getBlockCount: async () => 1_000_000,
      async getBlockHash(height) {
        return client.getBlockHash(Math.min(height, 12))
      },
      async getBlockRaw(hash) {
        const raw = await client.getBlockRaw(hash)
        raw[40] = (raw[40] as number) ^ 1
        return raw
      },
    }
    const problems: unknown[] = []
    const onProblem = (error: unknown) => problems.push(error)
    const follower = follow(honest, [liar, client], { onProblem })
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 12, hash: honest.ledger.tip.hash })
    expect(problems).toHaveLength(1)
    const { nodeHeight, problem, sources } = follower.status()
    expect({ nodeHeight, problem }).toEqual({ nodeHeight: 12, problem: undefined })
    expect(sources.map((source) => source.problem === undefined)).toEqual([false, true])
    await mineBlocks(honest, 3)
    await follower.poll()
    expect(follower.tip.height).toBe(15)
  })

  test('one that stopped, or never answers, holds nobody up', async () => {
    const [stopped, alive] = [await startChain(), await startChain(9)]
    const gone: MainBlockSource = {
      ...clientOf(stopped),
      getBlockCount: () => Promise.reject(new MainChainUnreachableError('no answer in time')),
    }
    const follower = follow(alive, [gone, clientOf(stopped), clientOf(alive)])
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 9, hash: alive.ledger.tip.hash })
    const [first, second, third] = follower.status().sources
    expect(first).toMatchObject({ height: -1, problem: 'no answer in time' })
    expect(second).toMatchObject({ height: 0, problem: undefined, contradicts: false })
    expect(third).toMatchObject({ height: 9, problem: undefined })
  })

  test('a slow one gives way when its turn is over', async () => {
    const chain = await startChain(6)
    const follower = follow(chain, [clientOf(chain), clientOf(chain)], { turnMs: -1 })
    await follower.poll()
    expect(follower.tip.height).toBe(0)
    expect(follower.status().sources.map(({ height }) => height)).toEqual([6, 6])
  })

  test('most work wins, whoever shows it and in whatever order; a deep fork alarms', async () => {
    const [long, short] = [await startChain(10), await startChain(8)]
    const rows = [
      [clientOf(long), clientOf(short)],
      [clientOf(short), clientOf(long)],
    ]
    for (const clients of rows) {
      const alarms: string[] = []
      const onContradiction = ({ name }: { name: string }, shared: number) =>
        void alarms.push(`${name} from ${shared}`)
      const follower = follow(long, clients, { onContradiction })
      await follower.poll()
      await follower.poll()
      expect(follower.tip).toMatchObject({ height: 10, hash: long.ledger.tip.hash })
      await follower.poll()
      const loser = clients === rows[0] ? 'other 0' : 'main node'
      expect(alarms).toEqual([`${loser} from 0`])
      expect(follower.status().sources.filter(({ contradicts }) => contradicts)).toHaveLength(1)
    }
  })

  test('a forked one that overtakes is followed, and its transactions are found', async () => {
    const [a, b] = [await startChain(5), await startChain(4)]
    const follower = follow(a, [clientOf(a), clientOf(b)])
    await follower.poll()
    expect(follower.tip.hash).toEqual(a.ledger.tip.hash)
    await mineBlocks(b, 3)
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 7, hash: b.ledger.tip.hash })
    const id = follower.blockAt(7)?.transactionIds[0]
    if (!id) expect.fail('a block has a coinbase')
    expect(await follower.findTransaction(id)).toMatchObject({ height: 7 })
  })

  test('a branch that lost is not read again', async () => {
    const [long, short] = [await startChain(6), await startChain(5)]
    let reads = 0
    const counted: MainBlockSource = {
      ...clientOf(short),
      getBlockRaw(hash) {
        reads++
        return clientOf(short).getBlockRaw(hash)
      },
    }
    const follower = follow(long, [clientOf(long), counted])
    for (let i = 0; i < 4; i++) await follower.poll()
    expect(reads).toBe(5)
    expect(follower.tip.hash).toEqual(long.ledger.tip.hash)
  })

  test('where all fail the poll says so', async () => {
    const chain = await startChain()
    const gone: MainBlockSource = {
      ...clientOf(chain),
      getBlockCount: () => Promise.reject(new MainChainUnreachableError('away')),
    }
    const follower = follow(chain, [gone, gone])
    await expect(follower.poll()).rejects.toThrow('away')
    expect(follower.status().problem).toBe('away')
  })
})

describe('turns', () => {
  test('one that fails waits ever longer, at most five minutes; success ends it', () => {
    const client = {} as MainBlockSource
    const [bad, good] = [
      new MainSource({ name: 'bad', client }),
      new MainSource({ name: 'good', client }),
    ]
    const waits: number[] = []
    for (let i = 0; i < 12; i++) {
      expect(bad.fail(new Error('no'), 0)).toBe(i === 0)
      waits.push(bad.dueMs)
    }
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000])
    expect(waits.at(-1)).toBe(300_000)
    expect(dueSources([bad, good], 10)).toEqual([good])
    good.fail(new Error('no'), 0)
    expect(dueSources([bad, good], 10)).toEqual([good])
    expect(dueSources([bad, good], 300_000)).toEqual([bad, good])
    bad.succeed()
    expect(bad.status()).toMatchObject({ problem: undefined, contradicts: false })
    expect(dueSources([bad, good], 10)).toEqual([bad])
  })
})
