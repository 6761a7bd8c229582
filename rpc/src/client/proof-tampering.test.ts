import { bytesToHex } from '@ioex/chain/bytes'
import { trustCheckpoint, type TrustedEpoch } from '@ioex/chain/light'
import { encodeTransaction, transactionId } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type RpcServer, startRpcServer } from '../server/rpc-server.ts'
import { addresses, createLedgerStory, transfer } from '../server/testing/ledger-story.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { EpochTrust } from './epoch-trust.ts'
import { HeadFollower } from './head-follower.ts'
import { checkOutcome } from './outcome-check.ts'
import { RecordReader } from './record-reader.ts'
import { createRpcClient, type RpcClient } from './rpc-client.ts'
import { RpcError } from './rpc-error.ts'
import { checkStatement } from './statement-check.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const params = presets.ci
const ledger = createLedgerStory(params)
let server: RpcServer
let honest: RpcClient

beforeAll(async () => {
  server = await startRpcServer({ ledger, port: 0, callsPerMinute: 1_000_000 })
  honest = createRpcClient({ url: server.url })
})
afterAll(() => server.close())

function trustInGenesis(): TrustedEpoch {
  const genesis = ledger.block(0)
  const trusted = genesis && trustCheckpoint(genesis, ledger.validatorSet())
  if (!trusted?.ok) throw new Error('the story has a genesis')
  return trusted.value
}

/** A follower that knows nothing beyond genesis: what it judges, it judges by the proof alone. */
function followerOf(client: RpcClient) {
  const pool = new EndpointPool([client])
  const chain = { chainId: ledger.chainId, epochBlocks: params.epochBlocks }
  const trust = new EpochTrust({ chain, start: trustInGenesis(), trustingMs: 0, aheadMs: 0 })
  const onAlarm = () => undefined
  const timing = { follows: 'blocks' as const, minimumPollMs: 60_000, compareMs: 60_000 }
  return { pool, follower: new HeadFollower({ pool, trust, ...timing, onAlarm }) }
}

type Path = readonly (string | number)[]

/** Every text, number and null of an answer. */
function* leavesOf(value: unknown, path: Path = []): Iterable<Path> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* leavesOf(inner, [...path, key])
  } else if (typeof value !== 'boolean') {
    yield path
  }
}

/** The answer with one leaf changed: a digit, a number, a side. */
function changedAt(answer: unknown, path: Path, at: number): unknown {
  const [key, ...rest] = path
  if (key === undefined) return changedLeaf(answer, at)
  const copy: Record<string | number, unknown> = Array.isArray(answer)
    ? ([...(answer as unknown[])] as never)
    : { ...(answer as object) }
  copy[key] = changedAt(copy[key], rest, at)
  return copy
}

function changedLeaf(leaf: unknown, at: number): unknown {
  if (typeof leaf === 'number') return leaf + 1
  if (leaf === 'left') return 'right'
  if (leaf === 'right') return 'left'
  if (typeof leaf !== 'string' || leaf === '') return leaf
  const position = at % leaf.length
  const digit = leaf[position] === '0' ? '1' : '0'
  return leaf.slice(0, position) + digit + leaf.slice(position + 1)
}

/**
 * Judges the answer with each of its leaves changed in turn: it must be refused, or what comes of
 * it must be what comes of the true one. Gives how many were refused.
 */
async function judgeAll<T>(answer: unknown, judge: (changed: never) => Promise<T>) {
  const truth = await judge(answer as never)
  let refused = 0
  let position = 7
  for (const path of leavesOf(answer)) {
    position += 31
    const changed = changedAt(answer, path, position)
    try {
      expect(await judge(changed as never), path.join('.')).toEqual(truth)
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      refused++
    }
  }
  return refused
}

/** A client whose answers to one method are given. */
function answering(method: string, answer: unknown): RpcClient {
  return {
    url: 'tampered',
    call: (name, given, options) =>
      name === method ? (Promise.resolve(answer) as never) : honest.call(name, given, options),
    callUnchecked: (name, given, options) => honest.callUnchecked(name, given, options),
  }
}

describe('an answer with any part changed is refused, or says the same', () => {
  test('records', async () => {
    const text = (await honest.call('nodes_list', {})).nodes[1]?.address as string
    const answer = await honest.call('chain_getRecords', {
      records: [
        { table: 'accounts', address: text },
        { table: 'rails', index: 0 },
        { table: 'rails', index: 90 },
        { table: 'nodes', address: text },
        { table: 'globals', index: 0 },
      ],
    })
    const refused = await judgeAll(answer, async (changed) => {
      const { pool, follower } = followerOf(answering('chain_getRecords', changed))
      follower.start()
      const reader = new RecordReader(pool, follower, params.addressPrefix)
      try {
        return await Promise.all([
          reader.at({ table: 'accounts', address: addresses.peer }),
          reader.at({ table: 'rails', index: 0 }),
          reader.at({ table: 'rails', index: 90 }),
          reader.at({ table: 'nodes', address: addresses.peer }),
          reader.at({ table: 'globals', index: 0 }),
        ])
      } finally {
        await follower.close()
      }
    })
    // The header and its height, and of each record its bytes, place, table and whole branch. A
    // certificate of a header that the follower has by itself is not read again.
    expect(refused).toBeGreaterThanOrEqual([...leavesOf(answer)].length - 1)
  })

  test('a header with its certificate', async () => {
    const { height, header, certificate } = await honest.call('chain_getRecords', {
      records: [{ table: 'globals', index: 0 }],
    })
    const refused = await judgeAll({ height, header, certificate }, async (changed) => {
      const { follower } = followerOf(honest)
      return follower.trustHeader(changed, honest)
    })
    expect(refused).toBe(3)
  })

  test('a transaction with its receipts', async () => {
    const transaction = transfer(ledger, 5n, 0)
    await ledger.submit(encodeTransaction(transaction))
    const { header, hash } = ledger.append([])
    const id = bytesToHex(transactionId(transaction))
    const answer = await honest.call('chain_getTransaction', { id, prove: true })
    const refused = await judgeAll(answer, async (changed) =>
      checkOutcome(id, changed, { header, hash }),
    )
    // Both branches, both encodings, the index and both places.
    expect(refused).toBe(15 + 17 + 2 + 1 + 2)
  })

  test('a statement', async () => {
    const question = { params, node: addresses.peer, epoch: 1 }
    const answer = await honest.call('rewards_getStatement', { node: 1, epoch: 1, prove: true })
    const { follower } = followerOf(honest)
    const refused = await judgeAll(answer, async (changed) => {
      const { proof, ...statement } = await checkStatement(changed, question, (shown) =>
        follower.trustHeader(shown, honest),
      )
      expect(proof).toBeDefined()
      return statement
    })
    expect(refused).toBeGreaterThan(60)
  })
})
