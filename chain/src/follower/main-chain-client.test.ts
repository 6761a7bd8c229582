import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { type BuiltInMainChain, startBuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import {
  createMainChainClient,
  MainChainRpcError,
  MainChainUnreachableError,
} from './main-chain-client.ts'

const address = formatElaAddress(standardProgramHash(p256PublicKey(new Uint8Array(32).fill(5))))
let dataDir: string
let chain: BuiltInMainChain

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'main-rpc-'))
  chain = await startBuiltInMainChain({
    dataDir,
    genesis: { allocations: [{ address, sela: 123_456_789n }], timestamp: 1_700_000_000 },
    minerAddress: address,
    blockIntervalMs: 0,
    rpc: { port: 0, user: 'arbiter', password: 'secret' },
  })
  await chain.mine()
})

afterAll(async () => {
  await chain.stop()
  await rm(dataDir, { recursive: true, force: true })
})

const authorization = `Basic ${Buffer.from('arbiter:secret').toString('base64')}`

/** A raw HTTP call, as the Arbiter's Go client makes it. */
function post(
  body: string,
  headers: Record<string, string> = {},
  method = 'POST',
): Promise<{ status: number; answer: unknown }> {
  return new Promise((resolve, reject) => {
    const call = request(
      chain.rpcUrl,
      { method, headers: { 'content-type': 'application/json', authorization, ...headers } },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const answer = JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
          resolve({ status: response.statusCode ?? 0, answer })
        })
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

const errorCode = async (body: string) => {
  const { answer } = await post(body)
  return (answer as { error: { code: number } | null }).error?.code
}

describe('JSON-RPC server', () => {
  test("the Arbiter's habits: no id, null params, numbers as strings", async () => {
    expect(await post('{"method":"getblockcount","params":null}')).toEqual({
      status: 200,
      answer: { id: null, jsonrpc: '2.0', result: 2, error: null },
    })
    const byText = await post('{"method":"getblockhash","params":{"height":"1"}}')
    const byNumber = await post('{"method":"getblockhash","params":[1],"id":7}')
    expect(byText.answer).toMatchObject({ id: null, error: null })
    expect(byNumber.answer).toMatchObject({
      id: 7,
      result: (byText.answer as { result: string }).result,
    })
  })

  test('errors carry the codes of a main node', async () => {
    expect(await errorCode('{')).toBe(-32700)
    expect(await errorCode('[]')).toBe(-32600)
    expect(await errorCode('5')).toBe(-32600)
    expect(await errorCode('{"params":{}}')).toBe(-32600)
    expect(await errorCode('{"method":"getblockcount","params":5}')).toBe(-32602)
    expect(await errorCode('{"method":"toString"}')).toBe(-32601)
    expect(await errorCode('{"method":"getblockhash","params":{}}')).toBe(42002)
    expect(await errorCode('{"method":"getblockhash","params":{"height":99}}')).toBe(44003)
    expect(await errorCode('{"method":"getblock","params":["zz"]}')).toBe(42002)
    const zero = '0'.repeat(64)
    expect(await errorCode(`{"method":"getblock","params":["${zero}"]}`)).toBe(44003)
    expect(await errorCode(`{"method":"getrawtransaction","params":["${zero}"]}`)).toBe(44001)
    expect(await errorCode('{"method":"sendrawtransaction","params":["02"]}')).toBe(43001)
    expect(await errorCode('{"method":"sendrawtransaction","params":["0"]}')).toBe(42002)
    expect(await errorCode('{"method":"listunspent","params":{}}')).toBe(42002)
    expect(await errorCode('{"method":"listunspent","params":[["Ex"]]}')).toBe(42002)
    const amount = `{"method":"getutxosbyamount","params":["${address}","99.0"]}`
    expect(await errorCode(amount)).toBe(45002)
  })

  test('batches are answered in order', async () => {
    const { answer } = await post('[{"method":"getblockcount","id":1},{"method":"nope","id":2}]')
    expect(answer).toMatchObject([
      { id: 1, result: 2 },
      { id: 2, error: { code: -32601 } },
    ])
    const many = JSON.stringify(Array(101).fill({ method: 'getblockcount' }))
    expect(await errorCode(many)).toBe(-32600)
  })

  test('what the HTTP layer refuses', async () => {
    const body = '{"method":"getblockcount"}'
    const status = async (headers: Record<string, string>, method?: string) =>
      (await post(body, headers, method)).status
    expect(await status({ authorization: 'Basic eDp5' })).toBe(401)
    expect(await status({ origin: 'http://evil.example' })).toBe(403)
    expect(await status({ 'content-type': 'text/html' })).toBe(415)
    expect(await status({}, 'PUT')).toBe(405)
    expect((await post(' '.repeat(4 * 1024 * 1024 + 1))).status).toBe(413)
  })

  test('unspent outputs and blocks have the shapes that the Arbiter reads', async () => {
    const { answer } = await post(`{"method":"listunspent","params":{"addresses":["${address}"]}}`)
    expect(answer).toMatchObject({
      result: [
        {
          txtype: 0,
          assetid: 'a3d0eaa466df74983b5d7c543de6904f4c9418ead5ffd6d25814234a96db37b0',
          vout: 0,
          address,
          amount: '1.23456789',
          outputlock: 0,
          confirmations: 2,
        },
        { amount: '5.00000000', confirmations: 1 },
      ],
    })
    const chosen = await post(`{"method":"getutxosbyamount","params":["${address}","1.2"]}`)
    expect(chosen.answer).toMatchObject({ result: [{ amount: '1.23456789' }] })
    const block = await post('{"method":"getblockbyheight","params":{"height":"1"}}')
    expect(block.answer).toMatchObject({
      result: {
        height: 1,
        confirmations: 1,
        bits: 0x207fffff,
        difficulty: '1',
        tx: [{ type: 0, payloadversion: 4, locktime: 1 }],
      },
    })
    const mined = await post('{"method":"discretemining","params":{"count":5}}')
    expect((mined.answer as { result: string[] }).result).toHaveLength(1)
    expect(chain.height).toBe(2)
  })
})

describe('client', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close()
      server.closeAllConnections()
    }
  })

  /** A node that answers every call with these bytes. */
  async function nodeAnswering(body: string | undefined): Promise<string> {
    const server = createServer((_request, response) => {
      if (body !== undefined) response.end(body)
    })
    servers.push(server)
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }

  test('speaks with authorization, and says what was wrong without', async () => {
    const good = createMainChainClient({ url: chain.rpcUrl, user: 'arbiter', password: 'secret' })
    const count = await good.getBlockCount()
    const hash = await good.getBlockHash(count - 1)
    expect(await good.getBlockTransactionIds(hash)).toHaveLength(1)
    expect((await good.listUnspent(address))[0]).toMatchObject({ sela: 123_456_789n, index: 0 })
    const anonymous = createMainChainClient({ url: chain.rpcUrl })
    await expect(anonymous.getBlockCount()).rejects.toBeInstanceOf(MainChainRpcError)
  })

  test('a silent node times out, an absent one is unreachable', async () => {
    const silent = createMainChainClient({ url: await nodeAnswering(undefined), timeoutMs: 50 })
    await expect(silent.getBlockCount()).rejects.toBeInstanceOf(MainChainUnreachableError)
    const absent = createMainChainClient({ url: 'http://127.0.0.1:1/', timeoutMs: 5000 })
    await expect(absent.getBlockCount()).rejects.toBeInstanceOf(MainChainUnreachableError)
  })

  test('answers that are no answers are refused', async () => {
    const bodies = [
      '',
      'no JSON',
      '5',
      '{"result":"5","error":null}',
      '{"result":1.5,"error":null}',
      '{"result":1,"error":"an error as text"}',
      '{"result":1,"error":{"code":"x"}}',
    ]
    for (const body of bodies) {
      const client = createMainChainClient({ url: await nodeAnswering(body) })
      const failed = await client.getBlockCount().catch((error: unknown) => error)
      expect(failed, body).toBeInstanceOf(MainChainUnreachableError)
    }
    const wrong = createMainChainClient({
      url: await nodeAnswering('{"result":"zz","error":null}'),
    })
    await expect(wrong.getBlockHash(1)).rejects.toBeInstanceOf(MainChainUnreachableError)
    await expect(wrong.listUnspent(address)).rejects.toBeInstanceOf(MainChainUnreachableError)
    const empty = createMainChainClient({
      url: await nodeAnswering('{"result":null,"error":null}'),
    })
    expect(await empty.listUnspent(address)).toEqual([])
  })

  test('an endless answer is cut', async () => {
    const server = createServer((_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20)
      const pour = () => {
        while (!response.destroyed && response.write(chunk));
      }
      response.on('drain', pour)
      pour()
    })
    servers.push(server)
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = server.address() as AddressInfo
    const client = createMainChainClient({ url: `http://127.0.0.1:${port}/` })
    await expect(client.getBlockCount()).rejects.toThrow(/too long/)
  })
})
