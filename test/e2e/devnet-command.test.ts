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

const NODES = 14
const CHINESE = '假期 照片.bin'
const UNITS = /^\d+$/
const HEX_32 = /^[0-9a-f]{64}$/

const stored = new Map([
  [CHINESE, randomBytes(200_003)],
  ['one', Buffer.from('x')],
])

let folder: string
let data: string
let devnet: DevnetProcess
let network: DevnetDocument

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-devnet-e2e-'))
  data = join(folder, 'network')
  devnet = new DevnetProcess(data)
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

async function heightOf(url: string): Promise<number> {
  return (await createRpcClient({ url }).call('chain_getStatus', {})).height
}

async function expectFiles(): Promise<void> {
  const { files } = await ask<{ files: { path: string; size: number; complete: boolean }[] }>('ls')
  const listed = files.map(({ path, size, complete }) => [path, size, complete])
  const wanted = [...stored].map(([path, { length }]) => [path, length, true])
  expect(listed).toEqual(expect.arrayContaining(wanted))
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
      expect(await ask('put', source)).toMatchObject({
        bytes: bytes.length,
        contracts: [expect.any(Number)],
        k: 2,
        n: 6,
        lockedUnits: expect.stringMatching(UNITS),
      })
    }
    await expectFiles()
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
    const { address } = await ask<{ address: string }>('wallet', 'address')
    const { nodes } = await ask<{ nodes: { owner: string }[] }>('rpc', 'nodes_list')
    const to = nodes[0]?.owner as string
    const before = await ask<{ balance: string }>('wallet', 'balance')
    expect(await ask('wallet', 'send', to, '1.5')).toMatchObject({
      id: expect.stringMatching(HEX_32),
      to,
      amount: '150000000',
      state: 'final',
      height: expect.any(Number),
    })
    const after = await ask<{ balance: string; nonce: number }>('wallet', 'balance')
    expect(after).toMatchObject({ address, nonce: expect.any(Number), bond: '0' })
    expect(BigInt(after.balance)).toBeLessThanOrEqual(BigInt(before.balance) - 150_000_000n)
    const poor = await refused('wallet', 'send', to, '99999999')
    expect(poor.code).toBe('INSUFFICIENT_FUNDS')
  })

  test('rewards, receipts, anchor, audit, status, supply', async () => {
    const { receipts } = await until('a receipt of an anchor', async () => {
      const found = await ask<{ receipts: { id: string }[] }>('receipts', 'ls', '--type', 'anchor')
      return found.receipts.length > 0 && found
    })
    const { id } = receipts[0] as { id: string }
    const shown = await ask('receipts', 'show', id)
    expect(shown).toMatchObject({
      receipt: { id, type: 'anchor' },
      proof: { root: expect.any(String) },
    })
    expect(await ask('anchor', 'status')).toMatchObject({
      epoch: expect.any(Number),
      mainHeight: expect.any(Number),
      confirmations: expect.any(Number),
      method: 'memo',
    })
    const units = expect.stringMatching(UNITS) as string
    expect(await ask('rewards', '0', '--epoch', '1')).toMatchObject({
      epoch: 1,
      fees: units,
      burned: units,
      toValidators: units,
      subsidy: units,
      held: units,
      released: units,
      net: units,
      receipts: expect.any(Array),
      inputs: { closed: true },
    })
    expect(await ask('rewards', '0')).toMatchObject({ totals: { paid: units }, epochs: [] })
    expect(await ask('audit')).toMatchObject({ ok: true, falsehood: null, network: 'ci' })
    expect(await ask('rpc', 'chain_getSupply')).toMatchObject({ minted: units, burned: units })
    const { nodes } = await ask<{ nodes: { height: number | null }[] }>('devnet', 'status')
    expect(nodes).toHaveLength(NODES)
    expect(nodes.slice(0, 4).every(({ height }) => (height ?? 0) > 1)).toBe(true)
  })

  test('HTTP: a body that is too large, batches', async () => {
    const post = async (body: string) => {
      const headers = { 'content-type': 'application/json' }
      const reply = await fetch(`${network.rpc[0]}/rpc`, { method: 'POST', headers, body })
      const text = await reply.text()
      return { status: reply.status, answer: text === '' ? undefined : JSON.parse(text) }
    }
    const call = { jsonrpc: '2.0', method: 'chain_getStatus' }
    const large = await post(JSON.stringify({ ...call, id: 1, params: { x: 'x'.repeat(3e6) } }))
    expect(large).toMatchObject({
      status: 413,
      answer: { jsonrpc: '2.0', id: null, error: { data: { code: 'REQUEST_TOO_LARGE' } } },
    })
    const batch = await post(
      JSON.stringify([{ ...call, id: 7 }, call, { ...call, id: 8, method: 'x' }, 5]),
    )
    expect(batch).toMatchObject({
      status: 200,
      answer: [
        { id: 7, result: {} },
        { id: 8, error: { code: -32601 } },
        { error: { code: -32600 } },
      ],
    })
    expect((await post('[]')).answer).toMatchObject({ error: { code: -32600 } })
    const many = Array.from({ length: 101 }, (_, id) => ({ ...call, id }))
    expect((await post(JSON.stringify(many))).answer).toMatchObject({
      error: { data: { code: 'LIMIT_EXCEEDED' } },
    })
    expect((await post('{"jsonrpc":')).answer).toMatchObject({ error: { code: -32700 } })
    expect(await post(JSON.stringify(call))).toEqual({ status: 204, answer: undefined })
  })

  test('a second devnet on the folder is refused, also with --reset', async () => {
    for (const flags of [[], ['--reset']]) {
      const second = new DevnetProcess(data, flags)
      expect(await second.ended()).toBe(1)
      const { error } = JSON.parse(second.err())
      expect(error.code).toBe('NETWORK_RUNNING')
      expect(error.message).toContain(`the network in ${data} runs already`)
    }
    expect(await nodePids(data)).toHaveLength(NODES)
    const [url] = network.rpc
    const height = await heightOf(url as string)
    await until('more blocks', async () => (await heightOf(url as string)) > height)
  })
})

describe('stopping and starting', () => {
  test('Ctrl-C stops every process; the next start goes on from there', async () => {
    const height = await heightOf(network.rpc[0] as string)
    expect(await devnet.end('SIGINT')).toBe(0)
    expect(await nodePids(data)).toEqual([])
    devnet = new DevnetProcess(data)
    network = await devnet.ready()
    expect(await heightOf(network.rpc[0] as string)).toBeGreaterThanOrEqual(height)
    await expectFiles()
  })

  test('killed with -9, its nodes end by themselves', async () => {
    expect(await devnet.end('SIGKILL')).toBe('SIGKILL')
    await untilNoNodes(data)
  })

  test.for(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('%s during the start', async (signal) => {
    devnet = new DevnetProcess(data)
    await until('the first node', async () => (await nodePids(data)).length > 0)
    expect(await devnet.end(signal)).toBe(signal === 'SIGKILL' ? signal : 1)
    if (signal !== 'SIGKILL') {
      expect(await nodePids(data)).toEqual([])
      expect(JSON.parse(devnet.err())).toMatchObject({ error: { code: 'INTERRUPTED' } })
    }
    await untilNoNodes(data)
  })
})

describe('a damaged database', () => {
  const chain = () => join(data, 'validator-2', 'chain')
  const kept = () => join(folder, 'kept')

  /** Flips a byte in every 512 of the files whose name matches. */
  async function damage(name: RegExp): Promise<void> {
    const files = (await readdir(chain())).filter((file) => name.test(file))
    expect(files.length).toBeGreaterThan(0)
    for (const file of files) {
      const path = join(chain(), file)
      const bytes = await readFile(path)
      for (let at = 32; at < bytes.length; at += 512) bytes[at] = (bytes[at] as number) ^ 0xff
      await writeFile(path, bytes)
    }
  }

  test.for([/^MANIFEST/, /\.log$/, /\.ldb$/])('%s: the node refuses', async (name) => {
    await cp(chain(), kept(), { recursive: true })
    await damage(name)
    const config = join(data, 'validator-2', 'config.json')
    const { code, err } = await ioex(['node', '--config', config])
    expect(code).toBe(1)
    expect(err).toMatch(/^ioex: .*(move the (chain )?folder away).*\n$/)
    await rm(chain(), { recursive: true })
    await rename(kept(), chain())
  })

  test('the network names the node and leaves the others alone', async () => {
    await damage(/^MANIFEST/)
    const before = await filesBelow(data)
    devnet = new DevnetProcess(data)
    expect(await devnet.ended()).toBe(1)
    const { error } = JSON.parse(devnet.err())
    expect(error.code).toBe('NODE_FAILED')
    expect(error.message).toMatch(/^validator-2 did not start: database .*move the folder away/)
    expect(error.message).toContain(join(data, 'logs', 'validator-2.log'))
    expect(await nodePids(data)).toEqual([])
    const after = await filesBelow(data)
    const isKept = (path: string) => /^(peer|bootstrap|wallet|consumer|genesis|devnet)/.test(path)
    for (const [path, hash] of before) {
      if (isKept(path)) expect([path, after.get(path)]).toEqual([path, hash])
    }
  })

  test('moved away as it says, the node syncs and nothing is lost', async () => {
    await rename(chain(), join(folder, 'damaged'))
    devnet = new DevnetProcess(data)
    network = await devnet.ready()
    const [first, second] = network.rpc as [string, string]
    const target = await heightOf(first)
    await until('validator-2 to catch up', async () => (await heightOf(second)) >= target)
    await expectFiles()
  })
})
