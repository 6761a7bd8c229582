import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type DevnetDocument,
  DevnetProcess,
  filesBelow,
  ioex,
  nodePids,
  untilNoNodes,
} from './ioex-process.ts'
import { until } from './network-harness.ts'

/** Small, because it starts five times; first-light has a whole one. */
const SMALL = ['--bootstrap', '1', '--peers', '4']
const NODES = 9
const SHARDS = ['--data-shards', '2', '--total-shards', '3']
const CHINESE = '假期 照片.bin'
const units = expect.stringMatching(/^\d+$/) as string

interface Account {
  readonly address: string
  readonly balance: string
  readonly nonce: number
}

const stored = new Map([
  [CHINESE, randomBytes(200_003)],
  ['one', Buffer.from('x')],
])

let folder: string
let data: string
let devnet: DevnetProcess
let network: DevnetDocument
let heightBefore = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-devnet-e2e-'))
  data = join(folder, 'network')
  devnet = new DevnetProcess(data, SMALL)
  network = await devnet.ready()
})

afterAll(async () => {
  await devnet.end('SIGINT')
  await untilNoNodes(data)
  await rm(folder, { recursive: true, force: true })
})

/** A verb on this network; its one JSON document. Fails with what it said on stderr. */
async function ask<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, out, err } = await ioex([...args, '--data', data, '--json'])
  expect([code, err], `${args.join(' ')}: ${err}`).toEqual([0, ''])
  expect(out.split('\n')).toHaveLength(2)
  return JSON.parse(out) as T
}

/** A verb that must fail: its error. */
async function refused(...args: string[]): Promise<{ code: string; message: string }> {
  const { code, out, err } = await ioex([...args, '--data', data, '--json'])
  expect([code, out], err).toEqual([1, ''])
  return (JSON.parse(err) as { error: { code: string; message: string } }).error
}

async function heightOf(validator: number): Promise<number> {
  const url = network.rpc[validator] as string
  return (await createRpcClient({ url }).call('chain_getStatus', {})).height
}

async function expectListed(): Promise<void> {
  const { files } = await ask<{ files: { path: string; size: number; complete: boolean }[] }>('ls')
  const listed = new Map(files.map(({ path, size, complete }) => [path, [size, complete]]))
  const wanted = [...stored].map(([path, { length }]) => [path, [length, true]] as const)
  expect(listed).toEqual(new Map(wanted))
}

async function expectRestorable(): Promise<void> {
  for (const [name, bytes] of stored) {
    const target = join(folder, 'restored')
    expect(await ask('get', name, '-o', target)).toMatchObject({ bytes: bytes.length, target })
    expect(bytes.equals(await readFile(target))).toBe(true)
  }
}

describe('verbs on a running network', () => {
  test('put, ls, get', async () => {
    await mkdir(join(folder, 'source'))
    for (const [name, bytes] of stored) {
      const source = join(folder, 'source', name)
      await writeFile(source, bytes)
      expect(await ask('put', source, ...SHARDS)).toMatchObject({
        bytes: bytes.length,
        contracts: [expect.any(Number)],
        k: 2,
        n: 3,
        lockedUnits: units,
      })
    }
    await expectListed()
    await expectRestorable()
  })

  test('get --range; a name that is not there', async () => {
    const target = join(folder, 'part')
    await ask('get', CHINESE, '-o', target, '--range', '70000-140001')
    expect(await readFile(target)).toEqual(stored.get(CHINESE)?.subarray(70_000, 140_001))
    const missing = await refused('get', 'nothing', '-o', join(folder, 'nothing'))
    expect(missing).toEqual({ code: 'NOT_FOUND', message: expect.stringContaining('"nothing"') })
    expect(await readdir(folder)).not.toContain('nothing')
  })

  test('wallet send and balance', async () => {
    const [{ nodes }, before] = await Promise.all([
      ask<{ nodes: { owner: string }[] }>('rpc', 'nodes_list'),
      ask<Account>('wallet', 'balance'),
    ])
    const to = nodes[0]?.owner as string
    expect(await ask('wallet', 'send', to, '1.5')).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      to,
      amount: '150000000',
      state: 'final',
      height: expect.any(Number),
    })
    const after = await ask<Account>('wallet', 'balance')
    expect(after).toMatchObject({ address: before.address, nonce: before.nonce + 1, bond: '0' })
    expect(BigInt(after.balance)).toBeLessThanOrEqual(BigInt(before.balance) - 150_000_000n)
    const poor = await refused('wallet', 'send', to, '99999999')
    expect(poor.code).toBe('INSUFFICIENT_FUNDS')
  })

  test('rewards, receipts, anchor, audit, supply, status', async () => {
    const { receipts } = await until('a receipt of an anchor', async () => {
      const found = await ask<{ receipts: { id: string }[] }>('receipts', 'ls', '--type', 'anchor')
      return found.receipts.length > 0 && found
    })
    const { id } = receipts[0] as { id: string }
    const [shown, anchor, statement, summary] = await Promise.all([
      ask('receipts', 'show', id),
      ask('anchor', 'status'),
      ask('rewards', '0', '--epoch', '1'),
      ask('rewards', '0', '--from', '0'),
    ])
    const proof = { root: expect.any(String), branch: expect.any(Array) }
    expect(shown).toMatchObject({ receipt: { id, type: 'anchor' }, proof })
    const number = expect.any(Number) as number
    expect(anchor).toMatchObject({ epoch: number, mainHeight: number, confirmations: number })
    const sums = { fees: units, burned: units, toValidators: units, subsidy: units, held: units }
    const inputs = { closed: true }
    expect(statement).toMatchObject({ epoch: 1, ...sums, receipts: expect.any(Array), inputs })
    expect(summary).toMatchObject({ fromEpoch: 0, epochs: expect.any(Array), totals: sums })
    const [audit, supply, status] = await Promise.all([
      ask('audit'),
      ask('rpc', 'chain_getSupply'),
      ask<{ nodes: { height: number | null }[] }>('devnet', 'status'),
    ])
    expect(audit).toMatchObject({ ok: true, falsehood: null, network: 'ci' })
    expect(supply).toMatchObject({ minted: units, burned: units, circulating: units })
    expect(status.nodes.filter(({ height }) => height !== null && height > 1)).toHaveLength(4)
  })

  test('HTTP: a body that is too large, batches', async () => {
    const post = async (body: string) => {
      const headers = { 'content-type': 'application/json' }
      const reply = await fetch(`${network.rpc[0]}/rpc`, { method: 'POST', headers, body })
      const text = await reply.text()
      return { status: reply.status, answer: text === '' ? undefined : JSON.parse(text) }
    }
    const errorOf = async (body: string) => (await post(body)).answer.error.data.code
    const call = { jsonrpc: '2.0', method: 'chain_getStatus' }
    const large = JSON.stringify({ ...call, id: 1, params: { x: 'x'.repeat(3e6) } })
    expect(await post(large)).toMatchObject({
      status: 413,
      answer: { jsonrpc: '2.0', id: null, error: { data: { code: 'REQUEST_TOO_LARGE' } } },
    })
    const calls = [{ ...call, id: 7 }, call, { ...call, id: 8, method: 'x' }, 5]
    const unknown = { id: 8, error: { code: -32_601 } }
    expect(await post(JSON.stringify(calls))).toMatchObject({
      status: 200,
      answer: [{ id: 7, result: {} }, unknown, { id: null, error: { code: -32_600 } }],
    })
    expect(await errorOf('[]')).toBe('INVALID_REQUEST')
    const many = Array.from({ length: 101 }, (_, id) => ({ ...call, id }))
    expect(await errorOf(JSON.stringify(many))).toBe('LIMIT_EXCEEDED')
    expect(await errorOf('{"jsonrpc":')).toBe('PARSE_ERROR')
    expect(await post(JSON.stringify(call))).toEqual({ status: 204, answer: undefined })
  })

  test('a second devnet on the folder is refused, also with --reset', async () => {
    const second = [new DevnetProcess(data), new DevnetProcess(data, ['--reset'])]
    for (const each of second) {
      expect(await each.ended()).toBe(1)
      const { error } = JSON.parse(each.err())
      expect(error.code).toBe('NETWORK_RUNNING')
      expect(error.message).toContain(`the network in ${data} runs already`)
    }
    expect(await nodePids(data)).toHaveLength(NODES)
    const height = await heightOf(0)
    await until('more blocks', async () => (await heightOf(0)) > height)
  })
})

describe('kills, damage, starting again', () => {
  const chain = () => join(data, 'validator-2', 'chain')

  /** Flips a byte in every `step` of the files whose name matches, from `first` on. */
  async function damage(name: RegExp, first: number, step: number): Promise<void> {
    const files = (await readdir(chain())).filter((file) => name.test(file))
    expect(files.length).toBeGreaterThan(0)
    for (const file of files) {
      const path = join(chain(), file)
      const bytes = await readFile(path)
      for (let at = first; at < bytes.length; at += step) bytes[at] = (bytes[at] as number) ^ 0xff
      await writeFile(path, bytes)
    }
  }

  test('killed with -9, its nodes end by themselves', async () => {
    heightBefore = await heightOf(0)
    expect(await devnet.end('SIGKILL')).toBe('SIGKILL')
    await untilNoNodes(data)
  })

  test('a node refuses a database whose log or whose tables are damaged', async () => {
    const kept = join(folder, 'kept')
    await cp(chain(), kept, { recursive: true })
    const config = join(data, 'validator-2', 'config.json')
    const expectRefused = async () => {
      const { code, err } = await ioex(['node', '--config', config])
      expect(code, err).toBe(1)
      // A node writes its log there too; the last line is for people.
      expect(err).toMatch(/(^|\n)ioex: .*move the (chain )?folder away.*\n$/)
    }
    // LevelDB gives one block of 32 KiB of its log up without a word, and reads those behind it.
    await damage(/\.log$/, 40_000, 1e9)
    await expectRefused()
    // At the opening it made a table of the log.
    await damage(/\.ldb$/, 32, 512)
    await expectRefused()
    await rm(chain(), { recursive: true })
    await rename(kept, chain())
  })

  test.for(['SIGTERM', 'SIGKILL'] as const)('%s during the start', async (signal) => {
    devnet = new DevnetProcess(data)
    await until('the first node', async () => (await nodePids(data)).length > 0)
    expect(await devnet.end(signal)).toBe(signal === 'SIGKILL' ? signal : 1)
    if (signal === 'SIGTERM') {
      expect(await nodePids(data)).toEqual([])
      expect(JSON.parse(devnet.err())).toMatchObject({ error: { code: 'INTERRUPTED' } })
    }
    await untilNoNodes(data)
  })

  test('a network with a damaged node names it and leaves the others alone', async () => {
    await damage(/^MANIFEST/, 32, 512)
    const before = await filesBelow(data)
    devnet = new DevnetProcess(data)
    expect(await devnet.ended()).toBe(1)
    const { error } = JSON.parse(devnet.err())
    expect(error.code).toBe('NODE_FAILED')
    expect(error.message).toMatch(/^validator-2 did not start: .*move the (chain )?folder away/)
    expect(error.message).toContain(join(data, 'logs', 'validator-2.log'))
    expect(await nodePids(data)).toEqual([])
    const after = await filesBelow(data)
    const isKept = /^(peer|bootstrap|wallet|consumer|genesis\.json|devnet\.json|.*\/keys\/)/
    for (const [path, hash] of before) {
      if (isKept.test(path)) expect([path, after.get(path)]).toEqual([path, hash])
    }
  })

  test('moved away as it says, the node syncs; the chain goes on, nothing is lost', async () => {
    await rename(chain(), join(folder, 'damaged'))
    devnet = new DevnetProcess(data)
    network = await devnet.ready()
    const target = await heightOf(0)
    expect(target).toBeGreaterThanOrEqual(heightBefore)
    await until('validator-2 to catch up', async () => (await heightOf(1)) >= target)
    await expectListed()
    await expectRestorable()
  })

  test('Ctrl-C stops every process in order', async () => {
    expect(await devnet.end('SIGINT')).toBe(0)
    expect(await nodePids(data)).toEqual([])
    expect(await readdir(data)).not.toContain('devnet.lock')
  })
})
