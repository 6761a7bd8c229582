import { mkdtemp, readFile, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { presets } from '@ioex/genesis/presets'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createRpcClient } from '../client/rpc-client.ts'
import { createLedgerStory } from './testing/ledger-story.ts'
import type { MemoryLedger } from './testing/memory-ledger.ts'
import { type RpcServer, startRpcServer } from './rpc-server.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let folder: string
let ledger: MemoryLedger
let server: RpcServer
let token: string

const json = { 'content-type': 'application/json' }
const status = { jsonrpc: '2.0', id: 1, method: 'chain_getStatus' }

interface Reply {
  readonly code: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** A raw request: fetch would not let a test lie about its host. */
function request(options: http.RequestOptions, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ port: server.port, host: '127.0.0.1', ...options }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.on('end', () => {
        const { statusCode: code = 0, headers } = reply
        resolve({ code, headers, body: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const post = (body: string, headers: http.OutgoingHttpHeaders = {}) =>
  request({ method: 'POST', path: '/rpc', headers: { ...json, ...headers } }, body)

/** Number and stable code of the error in an answer. */
function errorOf({ body }: Reply): [number, string, string] {
  const { error } = JSON.parse(body) as {
    error: { code: number; message: string; data: { code: string } }
  }
  return [error.code, error.data.code, error.message]
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-rpc-'))
  ledger = createLedgerStory(presets.ci)
  const tokenFile = join(folder, 'data', 'rpc-token')
  const socketPath = join(folder, 'rpc.sock')
  const storage = {
    put: () => Promise.reject(new Error('the disk is gone')),
    get: () => Promise.reject(new Error('the disk is gone')),
    list: async () => ({ files: [] }),
    status: async () => undefined,
  }
  const limits = { requestBytesMax: 10_000, responseBytesMax: 20_000, callsPerMinute: 150 }
  server = await startRpcServer({ ledger, storage, port: 0, tokenFile, socketPath, ...limits })
  token = (await readFile(tokenFile, 'utf8')).trim()
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

describe('envelopes', () => {
  test('not JSON', async () => {
    const reply = await post('{"jsonrpc": "2.0", "method"')
    expect([reply.code, ...errorOf(reply).slice(0, 2)]).toEqual([200, -32700, 'PARSE_ERROR'])
  })

  test('not a call', async () => {
    for (const body of ['null', '5', '"x"', '{}', '{"jsonrpc":"2.0","id":1,"method":5}']) {
      expect(errorOf(await post(body)).slice(0, 2)).toEqual([-32600, 'INVALID_REQUEST'])
    }
  })

  test('unknown methods, inherited names too', async () => {
    for (const method of ['chain_getMoon', 'toString', '__proto__', 'constructor']) {
      const [number, code, message] = errorOf(await post(JSON.stringify({ ...status, method })))
      expect([number, code]).toEqual([-32601, 'METHOD_NOT_FOUND'])
      expect(message).toContain('rpc.discover')
    }
  })

  test('parameters: bad hex, wrong type, unknown name, by position', async () => {
    const calls = [
      ['chain_sendTransaction', { transaction: 'xyz' }, 'transaction: give hex text'],
      ['chain_sendTransaction', { transaction: 'abc' }, 'transaction: give hex text'],
      ['chain_getTransaction', { id: '0x12' }, 'id: give a hash'],
      ['chain_getBlock', { height: -1 }, 'height'],
      ['chain_getBlock', { height: 1, hash: '00'.repeat(32) }, 'not both'],
      ['chain_getBlock', { heihgt: 1 }, 'heihgt'],
      ['chain_getBlock', [1], 'by name'],
      ['rewards_getSummary', { node: 0, fromEpoch: 5, toEpoch: 1 }, 'toEpoch'],
    ] as const
    for (const [method, params, hint] of calls) {
      const [number, code, message] = errorOf(
        await post(JSON.stringify({ ...status, method, params })),
      )
      expect([number, code]).toEqual([-32602, 'INVALID_PARAMS'])
      expect(message).toContain(hint)
    }
  })

  test('a batch of one is answered by an array of one; notifications by nothing', async () => {
    const one = JSON.parse((await post(JSON.stringify([status]))).body) as unknown[]
    expect(one).toHaveLength(1)
    const { id: _, ...notification } = status
    expect(await post(JSON.stringify(notification))).toMatchObject({ code: 204, body: '' })
    expect(await post(JSON.stringify([notification]))).toMatchObject({ code: 204, body: '' })
    const mixed = JSON.parse((await post(JSON.stringify([status, 7]))).body) as object[]
    expect(mixed).toMatchObject([{ result: {} }, { error: { code: -32600 } }])
  })

  test('an empty batch and one too long', async () => {
    expect(errorOf(await post('[]'))[1]).toBe('INVALID_REQUEST')
    const long = JSON.stringify(Array.from({ length: 101 }, () => ({})))
    expect(errorOf(await post(long)).slice(0, 2)).toEqual([-32005, 'LIMIT_EXCEEDED'])
  })
})

describe('sizes', () => {
  test('a request that is too large', async () => {
    const reply = await post(JSON.stringify({ ...status, id: 'x'.repeat(20_000) }))
    expect([reply.code, errorOf(reply)[1]]).toEqual([413, 'REQUEST_TOO_LARGE'])
  })

  test('an answer that is too large, alone and in a batch', async () => {
    const blocks = { ...status, method: 'chain_getRawBlocks', params: { from: 0, to: 10 } }
    const alone = JSON.parse((await post(JSON.stringify(blocks))).body) as { id: number }
    const large = { ...blocks, params: { from: 0, to: 9 } }
    const body = JSON.stringify([status, large, large, large, large])
    const batch = JSON.parse((await post(body)).body) as object[]
    expect(alone.id).toBe(1)
    expect(batch[0]).toMatchObject({ result: { network: 'ci' } })
    expect(batch.at(-1)).toMatchObject({ error: { data: { code: 'RESPONSE_TOO_LARGE' } } })
  })
})

describe('who may call', () => {
  test('a protected method without a token; a wrong token before anything is parsed', async () => {
    const list = JSON.stringify({ ...status, method: 'storage_list' })
    expect(errorOf(await post(list)).slice(0, 2)).toEqual([-32054, 'UNAUTHORIZED'])
    for (const authorization of [`Bearer ${'0'.repeat(64)}`, 'Basic eDp5', 'Bearer']) {
      const reply = await post('not even JSON', { authorization })
      expect([reply.code, errorOf(reply)[1]]).toEqual([401, 'UNAUTHORIZED'])
    }
    const right = await post(list, { authorization: `Bearer ${token}` })
    expect(JSON.parse(right.body)).toMatchObject({ result: { files: [] } })
  })

  test('the Unix socket needs no token', async () => {
    const body = JSON.stringify({ ...status, method: 'storage_list' })
    const reply = await request(
      { socketPath: join(folder, 'rpc.sock'), method: 'POST', path: '/rpc', headers: json },
      body,
    )
    expect(JSON.parse(reply.body)).toMatchObject({ result: { files: [] } })
  })

  test('a page whose name was rebound, or that calls across origins', async () => {
    for (const headers of [
      { host: 'evil.example' },
      { host: 'evil.example:80' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { host: 'localhost@evil.example' },
    ]) {
      const reply = await post(JSON.stringify(status), headers)
      expect([reply.code, errorOf(reply)[1]]).toEqual([403, 'HOST_REFUSED'])
    }
    for (const host of ['localhost', 'localhost:1234', '127.0.0.1', '[::1]:9']) {
      expect((await post(JSON.stringify(status), { host })).code).toBe(200)
    }
    const headers = { origin: 'https://evil.example' }
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, { headers })
    const refused = await new Promise((resolve) => socket.once('error', resolve))
    expect(String(refused)).toContain('403')
  })

  test('a page of this machine may ask with a token; one of an allowed origin without', async () => {
    const reading = 'https://page.example'
    const open = await startRpcServer({ ledger, port: 0, allowedOrigins: [reading] })
    const any = await startRpcServer({ ledger, port: 0, allowedOrigins: ['*'] })
    try {
      const asked = async (port: number, origin: string) => {
        const preflight = { origin, 'access-control-request-method': 'POST' }
        const before = await request({ port, method: 'OPTIONS', path: '/rpc', headers: preflight })
        const headers = { ...json, origin }
        const call = { port, method: 'POST', path: '/rpc', headers }
        const after = await request(call, JSON.stringify(status))
        const shown = after.headers['access-control-allow-origin']
        expect(before.headers['access-control-allow-origin']).toBe(shown)
        return [before.code, after.code, shown, before.headers['access-control-allow-headers']]
      }
      const own = 'http://localhost:5173'
      const withToken = 'authorization, content-type'
      expect(await asked(server.port, own)).toEqual([204, 200, own, withToken])
      expect(await asked(server.port, reading)).toEqual([403, 403, undefined, undefined])
      expect(await asked(open.port, reading)).toEqual([204, 200, reading, 'content-type'])
      expect(await asked(open.port, own)).toEqual([204, 200, own, withToken])
      const others = [`${reading}:8443`, 'http://page.example', 'null']
      for (const other of others) expect((await asked(open.port, other))[0]).toBe(403)
      for (const other of others) {
        expect(await asked(any.port, other)).toEqual([204, 200, other, 'content-type'])
      }
    } finally {
      await Promise.all([open.close(), any.close()])
    }
  })

  test('content types that a page may send without asking', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const reply = await post(JSON.stringify(status), { 'content-type': type })
      expect([reply.code, errorOf(reply)[1]]).toEqual([415, 'INVALID_REQUEST'])
    }
  })

  test('listening for other machines needs an explicit word', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
      await expect(startRpcServer({ ledger, host, port: 0 })).rejects.toThrow('other machines')
    }
  })
})

describe('what goes wrong inside', () => {
  test('an operating error shows nothing of the inside', async () => {
    const params = { path: '/tmp/x' }
    const body = JSON.stringify({ ...status, method: 'storage_put', params })
    const reply = await post(body, { authorization: `Bearer ${token}` })
    expect(errorOf(reply).slice(0, 2)).toEqual([-32603, 'INTERNAL_ERROR'])
    expect(reply.body).not.toMatch(/disk is gone|\.ts|at /)
  })

  test('subscriptions over HTTP, unknown pages, methods that are not served', async () => {
    const params = { topic: 'blocks' }
    const subscribe = await post(JSON.stringify({ ...status, method: 'subscribe', params }))
    expect(errorOf(subscribe)[1]).toBe('NOT_SUPPORTED')
    const nothing = await request({ path: '/nothing' })
    expect([nothing.code, errorOf(nothing)[1]]).toEqual([404, 'NOT_FOUND'])
    const other = await startRpcServer({ ledger, port: 0 })
    try {
      const client = createRpcClient({ url: other.url })
      const document = await client.call('rpc.discover', {})
      expect(document.methods.some(({ name }) => name === 'storage_put')).toBe(false)
      await expect(client.call('storage_list', {})).rejects.toMatchObject({
        reason: 'NOT_SUPPORTED',
      })
    } finally {
      await other.close()
    }
  })

  test("a rule's fault keeps its code and its facts", async () => {
    const params = { transaction: '00' }
    const reply = await post(JSON.stringify({ ...status, method: 'chain_sendTransaction', params }))
    expect(errorOf(reply).slice(0, 2)).toEqual([-32003, 'MALFORMED'])
  })

  test('closing ends the calls that wait', async () => {
    const other = await startRpcServer({ ledger, port: 0 })
    const client = createRpcClient({ url: other.url })
    const waiting = client.call('chain_waitTransaction', {
      id: '00'.repeat(32),
      timeoutMs: 30_000,
    })
    const settled = waiting.then(
      () => 'answered',
      () => 'ended',
    )
    await client.call('chain_getStatus', {})
    await other.close()
    expect(['answered', 'ended']).toContain(await settled)
  })
})

test('after too many calls: 429, and each call of a batch counts', async () => {
  const batch = JSON.stringify(Array.from({ length: 100 }, () => status))
  await post(batch)
  const reply = await post(batch)
  expect(reply.code).toBe(429)
  const answers = JSON.parse(reply.body) as object[]
  expect(answers.at(-1)).toMatchObject({
    error: { code: -32005, data: { code: 'RATE_LIMITED' } },
  })
})
