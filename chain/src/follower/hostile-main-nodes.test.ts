import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { advanceContext, checkHeader, ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import type { BuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import { MainBlockRefusedError } from './followed-block.ts'
import { type FollowerOptions, MainChainFollower } from './follower.ts'
import { createMainChainClient, MainChainUnreachableError } from './main-chain-client.ts'
import { Cleanups, startTestMainChain } from '../main-chain/testing/test-main-chain.ts'

const BLOCKS = 12
/** Bound of one call to a node that does not answer. */
const CALL_MS = 2000
const cleanups = new Cleanups()
afterEach(() => cleanups.run())

const startChain = (blocks: number) => startTestMainChain(cleanups, { blocks })

interface Call {
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
}

/** Writes the answer to a call; `honest` is the body that a real node gives. */
type Answer = (response: ServerResponse, honest: string, call: Call) => void

/** A main node over HTTP that asks an honest one and then answers as it likes. */
async function startHostile(honest: BuiltInMainChain, answer: Answer): Promise<string> {
  const server: Server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      const real = await fetch(honest.rpcUrl, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      answer(response, await real.text(), JSON.parse(body) as Call)
    })().catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.add(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const whole: Answer = (response, honest) => void response.end(honest)

/** Changes the hex of blocks; everything else is the truth. */
const lyingAboutBlocks =
  (change: (hex: string) => string): Answer =>
  (response, honest, { method }) => {
    const answer = JSON.parse(honest) as { result: unknown }
    if (method === 'getblock') answer.result = change(String(answer.result))
    response.end(JSON.stringify(answer))
  }

/** Flips a bit of the byte at a place of a block. */
const flippedAt = (at: number) =>
  lyingAboutBlocks((hex) => {
    const bytes = Buffer.from(hex, 'hex')
    bytes[at] = (bytes[at] as number) ^ 1
    return bytes.toString('hex')
  })

interface Followed {
  readonly follower: MainChainFollower
  readonly problems: unknown[]
  readonly alarms: string[]
}

function follow(start: BuiltInMainChain, urls: readonly string[], turnMs?: number): Followed {
  const problems: unknown[] = []
  const alarms: string[] = []
  const clients = urls.map((url) => createMainChainClient({ url, timeoutMs: CALL_MS }))
  const [client, ...others] = clients as [(typeof clients)[0], ...typeof clients]
  const options: FollowerOptions = {
    client,
    others: others.map((each, i) => ({ name: `other ${i}`, client: each })),
    params: ELASTOS_REG_NET,
    start: start.genesisContext(),
    onProblem: (error) => problems.push(error),
    onContradiction: ({ name }) => alarms.push(name),
    ...(turnMs !== undefined && { turnMs }),
  }
  return { follower: new MainChainFollower(options), problems, alarms }
}

/** What goes into mainHeaders is the honest chain, by the pure rules alone. */
function expectHonestHeaders(follower: MainChainFollower, honest: BuiltInMainChain): void {
  const headers = follower.headersAfter({ height: 0, hash: honest.genesisHash })
  expect(headers).toHaveLength(honest.height)
  let context = honest.genesisContext()
  for (const raw of headers) {
    const decoded = decodeHeaderWithAuxPow(raw)
    if (!decoded.ok) expect.fail(decoded.fault.message)
    expect(checkHeader(decoded.value, context, ELASTOS_REG_NET)).toMatchObject({ ok: true })
    context = advanceContext(context, decoded.value, ELASTOS_REG_NET)
  }
  expect(context.previous.hash).toEqual(honest.ledger.tip.hash)
}

describe('a main node that lies over HTTP', () => {
  /** Offset in the block, and what a change there breaks. */
  const lies: readonly (readonly [string, number])[] = [
    ['version', 0],
    ['previous block', 4],
    ['merkle root', 40],
    ['time', 68],
    ['bits', 72],
    ['height', 80],
  ]
  test.each(lies)('about the %s of headers', async (_field, at) => {
    const honest = await startChain(BLOCKS)
    const liar = await startHostile(honest, flippedAt(at))
    const { follower, problems } = follow(honest, [liar, honest.rpcUrl])
    await follower.poll()
    expectHonestHeaders(follower, honest)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toBeInstanceOf(MainBlockRefusedError)
    expect((problems[0] as MainBlockRefusedError).code).toMatch(/^MAIN_/)
  })

  test('about transactions, in answers too long, in no JSON, with another height', async () => {
    const honest = await startChain(BLOCKS)
    const lastByte: Answer = lyingAboutBlocks((hex) => `${hex.slice(0, -2)}ff`)
    const endless: Answer = lyingAboutBlocks((hex) => hex + '00'.repeat(20_000_000))
    const noJson: Answer = (response) => void response.end('<html>')
    const huge: Answer = (response, body, { method }) =>
      response.end(
        method === 'getblockcount' ? body.replace(/"result":\d+/, '"result":1e15') : body,
      )
    const hostile = await Promise.all(
      [lastByte, endless, noJson, huge].map((answer) => startHostile(honest, answer)),
    )
    const { follower, problems } = follow(honest, [...hostile, honest.rpcUrl])
    await follower.poll()
    expectHonestHeaders(follower, honest)
    expect(problems).toHaveLength(hostile.length)
    const { problem, sources } = follower.status()
    expect(problem).toBeUndefined()
    expect(sources.map((source) => source.problem === undefined)).toEqual([
      ...hostile.map(() => false),
      true,
    ])
  })
})

describe('a main node that stalls', () => {
  test('in the middle of a body: its call ends, the other is followed, it is asked more rarely', async () => {
    const honest = await startChain(BLOCKS)
    let stalled = 0
    const stalling = await startHostile(honest, (response, body, { method }) => {
      if (method !== 'getblock') return void response.end(body)
      stalled++
      response.writeHead(200, { 'content-length': body.length })
      response.write(body.slice(0, body.length / 2))
    })
    const { follower, problems } = follow(honest, [stalling, honest.rpcUrl])
    await follower.poll()
    expectHonestHeaders(follower, honest)
    expect(problems[0]).toBeInstanceOf(MainChainUnreachableError)
    await honest.mine()
    await follower.poll()
    expectHonestHeaders(follower, honest)
    expect(stalled).toBe(1)
    await follower.stop()
  })

  test('alone it is named, nothing wrong is taken, and all goes on when it answers again', async () => {
    const honest = await startChain(BLOCKS)
    let answers = 0
    const url = await startHostile(honest, (response, body) => {
      if (answers++ < 8) response.end(body)
      else if (answers > 12) response.end(body)
    })
    const { follower } = follow(honest, [url])
    await expect(follower.poll()).rejects.toBeInstanceOf(MainChainUnreachableError)
    expect(follower.status().problem).toMatch(/does not answer/)
    const { height } = follower.tip
    expect(height).toBeGreaterThan(0)
    expect(height).toBeLessThan(BLOCKS)
    await expect
      .poll(() => follower.poll().then(() => follower.tip.height), { timeout: 30_000 })
      .toBe(BLOCKS)
    expectHonestHeaders(follower, honest)
  })
})

describe('a main node on a fork', () => {
  test.each(['first', 'last'])(
    'with less work, asked %s, is told of and never followed',
    async (place) => {
      const honest = await startChain(BLOCKS)
      const forked = await startChain(BLOCKS - 2)
      const url = await startHostile(forked, whole)
      const urls = place === 'first' ? [url, honest.rpcUrl] : [honest.rpcUrl, url]
      const { follower, alarms } = follow(honest, urls)
      // First it may be the best that was shown so far; then it is known for what it is.
      await follower.poll()
      expectHonestHeaders(follower, honest)
      await follower.poll()
      await follower.poll()
      expectHonestHeaders(follower, honest)
      expect(alarms).toEqual([place === 'first' ? 'main node' : 'other 0'])
      expect(follower.contradicts({ height: 3, hash: forked.ledger.tip.hash })).toBe(true)
    },
  )
})
