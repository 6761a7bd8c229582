import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bytesToHex } from '@ioex/chain/bytes'
import {
  EpochHandoverType,
  type FinalHeader,
  trustCheckpoint,
  type TrustedEpoch,
} from '@ioex/chain/light'
import { checkpointHeight } from '@ioex/chain/params'
import { CertificateType, encodeTransaction, HeaderType, transactionId } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  chain as hopChain,
  EPOCH_BLOCKS,
  genesisOf,
  handover,
  signer,
} from '../../../chain/src/light/testing/certified-chain.ts'
import { type MethodName, methodNames, type ResultOf } from '../contract/methods.ts'
import { type RpcServer, startRpcServer } from '../server/rpc-server.ts'
import {
  addresses,
  createLedgerStory,
  INVENTORY_ROOT,
  payout,
  transfer,
} from '../server/testing/ledger-story.ts'
import { checkAnswer } from './answer-check.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { EpochTrust, trustFromJson, trustToJson } from './epoch-trust.ts'
import { HeadFollower } from './head-follower.ts'
import { readInventory } from './inventory-reader.ts'
import { checkOutcome } from './outcome-check.ts'
import { RecordReader } from './record-reader.ts'
import { createRpcClient, type RpcClient } from './rpc-client.ts'
import { RpcError } from './rpc-error.ts'
import { checkStatement } from './statement-check.ts'
import { jsonNear } from './testing/almost-json.ts'

/** Inputs of each law; `npm run fuzz` sets a million. */
const RUNS = Number(process.env['IOEX_FUZZ_RUNS'] ?? 200)
/** Of laws that check signatures for each input, with the portable code. */
const SIGNED_RUNS = Math.ceil(RUNS / 20)
/** Questions that one answer may lead to: the pages of the longest list, and what proves them. */
const CALLS_MAX = 600

const params = presets.ci
const ledger = createLedgerStory(params)
let server: RpcServer
let honest: RpcClient
/** Follows the honest node; whatever a law does, it must not raise an alarm. */
let follower: HeadFollower

beforeAll(async () => {
  server = await startRpcServer({ ledger, port: 0, callsPerMinute: 1_000_000 })
  honest = createRpcClient({ url: server.url })
  follower = followerOf(new EndpointPool([honest]))
  follower.start()
  await follower.head()
})
afterAll(async () => {
  expect(follower.alarm).toBeUndefined()
  await follower.close()
  await server.close()
})

function trustAt(height: number): TrustedEpoch {
  const final = ledger.block(height)
  const trusted = final && trustCheckpoint(final, ledger.validatorSet())
  if (!trusted?.ok) throw new Error('the story has this checkpoint')
  return trusted.value
}

const trustIn = (start: TrustedEpoch) =>
  new EpochTrust({
    chain: { chainId: ledger.chainId, epochBlocks: params.epochBlocks },
    start,
    trustingMs: 0,
    aheadMs: 0,
  })

function followerOf(pool: EndpointPool, start = trustAt(0)): HeadFollower {
  const timing = { follows: 'blocks' as const, minimumPollMs: 60_000, compareMs: 60_000 }
  return new HeadFollower({ pool, trust: trustIn(start), ...timing, onAlarm: () => undefined })
}

/** A node that answers by `answer`; what it says is read as if it had come over a connection. */
function nodeOf(answer: (method: MethodName, given: unknown) => Promise<unknown>): RpcClient {
  let calls = 0
  const callUnchecked = () => Promise.reject(new Error('not used'))
  return {
    url: 'hostile',
    callUnchecked,
    async call<M extends MethodName>(method: M, given: unknown): Promise<ResultOf<M>> {
      expect(++calls, 'questions that one answer leads to').toBeLessThan(CALLS_MAX)
      const checked = checkAnswer(method, await answer(method, given))
      if (checked.ok) return checked.value
      throw new RpcError('BAD_RESPONSE', checked.fault.message)
    },
  }
}

/** Always gives one answer to one method; is honest in others. */
const lyingIn = (method: MethodName, answer: unknown) =>
  nodeOf(async (name, given) =>
    name === method ? answer : honest.call(name as 'chain_getStatus', given as never),
  )

const CODE = /^[A-Z][A-Z0-9_]+$/

/** What came of an answer, or undefined for a refusal with a reason. Any other throw is a bug. */
async function orRefused<T>(reading: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await reading()
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    expect(error.reason).toMatch(CODE)
    return undefined
  }
}

/** `read` judges an answer: whatever it is, what is made of it is the truth, or it is refused. */
async function holdsFor<T>(
  answer: unknown,
  read: (answer: unknown) => Promise<T>,
  isTrue: (outcome: T, truth: T) => void,
  numRuns = RUNS,
): Promise<void> {
  const truth = await read(answer)
  let refused = 0
  await fc.assert(
    fc.asyncProperty(jsonNear(answer), async (other) => {
      const outcome = await orRefused(() => read(other))
      if (outcome === undefined) refused++
      else isTrue(outcome, truth)
    }),
    { numRuns },
  )
  expect(refused).toBeGreaterThan(numRuns / 3)
}

function trustedAs(known: FinalHeader) {
  return (shown: Parameters<HeadFollower['trustHeader']>[0], client: RpcClient) =>
    shown.height === known.header.height
      ? follower.trustHeader(shown, client)
      : Promise.reject(new RpcError('FALSE_PROOF', 'another height'))
}

const QUESTIONS = {
  chain_getStatus: {},
  chain_getCertifiedHeaders: { from: 0, to: 63 },
} as const

describe('answers of a hostile node are refused with a reason, or say what is true', () => {
  test('records: accounts, nodes, rails, contracts, epochs with their anchors, globals, peg', async () => {
    const nodeText = (await honest.call('nodes_list', {})).nodes[1]?.address as string
    const places = [
      { table: 'accounts', address: nodeText },
      { table: 'nodes', address: nodeText },
      { table: 'rails', index: 0 },
      { table: 'rails', index: 90 },
      { table: 'contracts', index: 0 },
      { table: 'epochs', index: 1 },
      { table: 'globals', index: 0 },
      { table: 'peg', index: 0 },
    ] as const
    const answer = await honest.call('chain_getRecords', { records: [...places] })
    const read = async (given: unknown) => {
      const pool = new EndpointPool([lyingIn('chain_getRecords', given)])
      const reader = new RecordReader(pool, follower, params.addressPrefix)
      return Promise.all(
        places.map((place) =>
          reader.at('index' in place ? place : { table: place.table, address: addresses.peer }),
        ),
      )
    }
    await holdsFor(answer, read, (records, truth) => {
      // A record without a proof is one that nobody else was asked for.
      for (const [i, record] of records.entries()) {
        if (record !== undefined) expect(record).toEqual(truth[i])
      }
    })
  })

  test('the directory of nodes, and any list', async () => {
    const asked = { role: 'bootstrap', limit: 200, prove: true } as const
    const answer = await honest.call('nodes_list', asked)
    const read = async (given: unknown) => {
      const pool = new EndpointPool([lyingIn('nodes_list', given)])
      const reader = new RecordReader(pool, follower, params.addressPrefix)
      return reader.list('nodes_list', { role: 'bootstrap' }, 'nodes', () => true)
    }
    await holdsFor(answer, read, (items) => {
      for (const { index, record } of items) expect(record).toEqual(ledger.nodeAt(index))
    })
  })

  test('an inventory', async () => {
    const question = { node: 1, root: bytesToHex(INVENTORY_ROOT) }
    const answer = await honest.call('nodes_getInventory', question)
    const read = async (given: unknown) => {
      const client = lyingIn('nodes_getInventory', given)
      return readInventory(
        await client.call('nodes_getInventory', question),
        INVENTORY_ROOT,
        client,
      )
    }
    await holdsFor(answer, read, (entries, truth) => expect(entries).toEqual(truth))
  })

  test('a statement with its receipts', async () => {
    const asked = { node: 1, epoch: 1, prove: true }
    const answer = await honest.call('rewards_getStatement', asked)
    const question = { params, node: addresses.peer, epoch: 1 }
    const read = async (given: unknown) => {
      const client = lyingIn('rewards_getStatement', given)
      const view = await client.call('rewards_getStatement', asked)
      const checked = await checkStatement(view, question, (shown) =>
        follower.trustHeader(shown, client),
      )
      return { ...checked, proof: undefined }
    }
    await holdsFor(answer, read, (statement, truth) => {
      // Receipts without a fee may be left out; no figure of the fees may differ.
      const { fees, burned, net, subsidy } = truth
      expect(statement).toMatchObject({ fees, burned, net, subsidy })
    })
  })

  test('the outcome of a transaction with its receipts', async () => {
    const transaction = transfer(ledger, 5n, 0)
    await ledger.submit(encodeTransaction(transaction))
    const known = ledger.append([payout(3n)])
    const id = bytesToHex(transactionId(transaction))
    const answer = await honest.call('chain_getTransaction', { id, prove: true })
    expect(answer.receipts.length).toBeGreaterThan(0)
    const read = async (given: unknown) => {
      const client = lyingIn('chain_getTransaction', given)
      const status = await client.call('chain_getTransaction', { id, prove: true })
      if (status.state !== 'final' || !status.proof) throw new RpcError('UNAVAILABLE', 'not final')
      const header = await trustedAs(known)(status.proof, client)
      return checkOutcome(id, status, header)
    }
    await holdsFor(answer, read, (outcome, truth) => {
      expect(outcome.height).toBe(truth.height)
      for (const receipt of outcome.receipts) expect(truth.receipts).toContainEqual(receipt)
    })
  })

  test('an old header under the history of a later one', async () => {
    const old = ledger.block(2) as FinalHeader
    const { header } = await honest.call('chain_getRecords', {
      records: [{ table: 'globals', index: 0 }],
    })
    expect(header.length).toBeGreaterThan(0)
    const answer = await honest.call('chain_getHeaderProof', { height: 2 })
    const shown = { height: 2, header: answer.header, certificate: null }
    const read = async (given: unknown) => {
      const client = lyingIn('chain_getHeaderProof', given)
      const later = followerOf(new EndpointPool([client]), trustAt(checkpointHeight(params, 1)))
      return later.trustHeader(shown, client)
    }
    await holdsFor(answer, read, ({ hash }) => expect(hash).toEqual(old.hash), SIGNED_RUNS)
  })

  test('epoch hops', async () => {
    const signers = ['a', 'b', 'c', 'd'].map((name) => signer(name))
    const proofs = [1, 2, 3].map((epoch) =>
      bytesToHex(EpochHandoverType.serialize(handover(epoch, signers))),
    )
    const hops = [handover(4, signers)].map(({ header, certificate }) => ({
      height: 4 * EPOCH_BLOCKS,
      header: bytesToHex(HeaderType.serialize(header)),
      certificate: bytesToHex(CertificateType.serialize(certificate)),
    }))
    const read = async (given: unknown) => {
      const client = nodeOf((method) =>
        Promise.resolve(method === 'chain_getEpochProofs' ? given : undefined),
      )
      const trust = new EpochTrust({
        chain: hopChain,
        start: genesisOf(signers),
        trustingMs: 0,
        aheadMs: 0,
      })
      await trust.follow(hops, client)
      return trust.rulesOf(trust.epoch)?.validatorsHash
    }
    await holdsFor({ proofs }, read, (own, truth) => expect(own).toEqual(truth), SIGNED_RUNS)
  })

  test.each(['chain_getStatus', 'chain_getCertifiedHeaders'] as const)(
    'a client that follows from genesis: %s',
    async (method) => {
      const given = QUESTIONS[method]
      const answer = await honest.call(method, given as never)
      const heights = new Set<string>()
      for (let at = 0; at <= ledger.status().height; at++) {
        heights.add(bytesToHex((ledger.block(at) as FinalHeader).hash))
      }
      let refused = 0
      await fc.assert(
        fc.asyncProperty(jsonNear(answer), async (other) => {
          const head = await firstHead(lyingIn(method, other))
          if (head) expect(heights).toContain(head)
          else refused++
        }),
        { numRuns: SIGNED_RUNS },
      )
      expect(refused).toBeGreaterThan(0)
    },
  )

  test('kept trust is read or not there', () => {
    const kept = trustToJson(trustAt(checkpointHeight(params, 1)))
    expect(trustFromJson(kept, ledger.chainId)?.epoch).toBe(kept.epoch)
    fc.assert(
      fc.property(jsonNear(kept), (other) => {
        const trusted = trustFromJson(other, ledger.chainId)
        if (trusted) expect(trustToJson(trusted).validators).toBe(kept.validators)
      }),
      { numRuns: RUNS },
    )
  })
})

/** Hash of the first head that the node leads to; undefined where it is refused. */
async function firstHead(client: RpcClient): Promise<string | undefined> {
  const pool = new EndpointPool([client])
  const refused = new Promise<undefined>((resolve) => {
    const failed = pool.failed.bind(pool)
    pool.failed = (from) => {
      failed(from)
      resolve(undefined)
    }
  })
  const own = followerOf(pool)
  own.start()
  const head = await Promise.race([own.head(), refused])
  // Rejects with whatever else than a refusal came out of following.
  await own.close()
  return head && bytesToHex(head.hash)
}

describe("whatever comes over the connection is a result of the contract's form or an RpcError", () => {
  let text = ''
  const hostile = createServer((request, response) => {
    request.resume()
    response.end(text)
  })
  let client: RpcClient
  beforeAll(async () => {
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve))
    const { port } = hostile.address() as AddressInfo
    client = createRpcClient({ url: `http://127.0.0.1:${port}` })
  })
  afterAll(() => new Promise((resolve) => hostile.close(resolve)))

  test('any text', async () => {
    const envelope = (result: unknown) => JSON.stringify({ jsonrpc: '2.0', id: 1, result })
    const error = fc.record({ code: fc.integer(), message: fc.string(), data: fc.jsonValue() })
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map(envelope),
      fc.oneof(error, fc.jsonValue()).map((wrong) => JSON.stringify({ error: wrong })),
    )
    const anyMethod = fc.constantFrom(...methodNames)
    const property = fc.asyncProperty(texts, anyMethod, async (sent, method) => {
      text = sent
      try {
        await client.call(method, {} as never)
      } catch (wrong) {
        expect(wrong).toBeInstanceOf(RpcError)
        expect((wrong as RpcError).reason).toBeTypeOf('string')
      }
    })
    await fc.assert(property, { numRuns: SIGNED_RUNS })
  })

  // Each took minutes and gigabytes, or overflowed the stack.
  const START = '{"result":{"height":1,"certificate":null,'
  const hostileTexts: Record<string, () => string> = {
    'hundreds of thousands of empty records': () =>
      `${START}"header":"","records":[${'{},'.repeat(3e5)}{}]}}`,
    'a header of megabytes': () => `${START}"header":"${'0'.repeat(2.4e7)}","records":[]}}`,
    'lists within lists': () =>
      `${START}"header":"","records":[${'['.repeat(2e5)}${']'.repeat(2e5)}]}}`,
    'an error of lists': () => `{"error":{"code":1,"message":"","data":[${'{},'.repeat(3e5)}1]}}`,
  }

  test.each(Object.keys(hostileTexts))('%s', async (name) => {
    text = (hostileTexts[name] as () => string)()
    const asked = client.call('chain_getRecords', { records: [{ table: 'globals', index: 0 }] })
    if (name === 'a header of megabytes') await asked
    else {
      const refused = await asked.catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(RpcError)
      if (name.endsWith('records'))
        expect((refused as Error).message).toMatch(/more than \d+ items/)
    }
  })
})
