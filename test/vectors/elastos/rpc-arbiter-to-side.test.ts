import { request as httpRequest } from 'node:http'
import {
  type ArbiterChain,
  type DepositStatus,
  SideRpcCode,
  startArbiterServer,
} from '@ioex/chain/arbiter'
import { asInternalHash, type InternalHash, toInternalHex } from '@ioex/chain/elastos'
import { bytesEqual, fault, fromHex, ok, reversed } from '@ioex/chain/bytes'
import { afterEach, describe, expect, test } from 'vitest'
import { internal, readVectors } from './vector-file.ts'

interface Sample {
  readonly request_body: { readonly method: string; readonly params: unknown }
  readonly response: { readonly result: unknown; readonly error: unknown }
}

const file = readVectors<{
  http_example: {
    readonly path: string
    readonly raw_request: string
    readonly raw_response: string
    readonly request_headers: readonly string[]
    readonly response_headers: readonly string[]
  }
  methods: Record<string, { readonly samples: Record<string, Sample> }>
  http_layer_errors: readonly {
    readonly case: string
    readonly status?: number
    readonly request?: unknown
    readonly body: unknown
  }[]
}>('rpc-arbiter-to-side.json')

const USER = 'side'
const PASSWORD = 'sidepass'
const GENESIS = internal('a3c455a90843db2acd22554f2768a8d4233fafbf8dd549e6b261c2786993be56')
const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop()
})

/** Hash arguments and results of the recorded calls: the content that is a chain's to choose. */
function recorded(method: string, kind: string): Sample {
  const sample = file.methods[method]?.samples
  const found = Object.entries(sample ?? {}).find(([name]) => name.startsWith(kind))?.[1]
  if (!found) expect.fail(`no recorded ${method} ${kind}`)
  return found
}

const deposited = recorded('sendrechargetransaction', 'string')
const depositedId = (deposited.request_body.params as { txid: string }).txid
const withdrawn = internal(
  Buffer.from(
    reversed(fromHex('f18967453a71a4128ff13c9c43945ddf60affd551243f7b9b25da4e47507173f')),
  ).toString('hex'),
)

/** The chain behind the recorded answers. */
function chain(changes: Partial<ArbiterChain> = {}): ArbiterChain {
  const withdrawal = {
    id: withdrawn,
    address: 'EWkFCXQetfxxFhYzFwxntbzrMoe7q79yHs',
    output: 10_020_000n,
    amount: 10_000_000n,
  }
  const is = (id: InternalHash, hex: string) => bytesEqual(id, internal(hex))
  return {
    genesisHash: GENESIS,
    bestHeight: () => 0,
    template: () => ({
      hash: internal('56bd2de1ec22641f11db426d0c4011bd68cf38977c5fbf699c6391c87601e7eb'),
      previousHash: GENESIS,
      bits: 0x207fffff,
    }),
    submit: () => ok('taken'),
    block: () => undefined,
    blockByHash: () => undefined,
    deposit: (id) =>
      Promise.resolve<DepositStatus>(
        is(id, depositedId)
          ? { state: 'credited', sideTransaction: internal(String(deposited.response.result)) }
          : { state: 'waiting' },
      ),
    isCredited: (id) => is(id, depositedId),
    isFailed: () => false,
    failedDeposits: () => [],
    withdrawals: (height) => (height === 35 ? [withdrawal] : []),
    withdrawal: (id) => (bytesEqual(id, withdrawn) ? withdrawal : undefined),
    isReturned: () => false,
    ...changes,
  }
}

async function serve(
  changes: Partial<ArbiterChain> = {},
  listener: { allow?: readonly string[]; password?: string } = {},
) {
  const server = await startArbiterServer({
    chain: chain(changes),
    port: 0,
    user: USER,
    password: PASSWORD,
    ...listener,
  })
  running.push(server)
  return server.url
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Record<string, unknown>
}

/** Sends what an Arbiter sends: its headers, its body, a connection of its own. */
function ask(
  url: string,
  body: string,
  changes: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const authorization = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      url,
      {
        method: changes.method ?? 'POST',
        agent: false,
        headers: {
          'User-Agent': 'Go-http-client/1.1',
          Authorization: authorization,
          'Content-Type': 'application/json',
          'Accept-Encoding': 'gzip',
          ...changes.headers,
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (text += part))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

const call = (url: string, { request_body }: Sample) => ask(url, JSON.stringify(request_body))

const recordedCases: readonly (readonly [string, string, Partial<ArbiterChain>])[] = [
  ['getblockcount', 'number', {}],
  ['createauxblock', 'object', {}],
  ['createauxblock', 'error', { template: () => undefined }],
  ['submitsideauxblock', 'string', {}],
  ['submitsideauxblock', 'error', { submit: () => ok('main-header-unknown') }],
  ['getillegalevidencebyheight', 'empty', { bestHeight: () => 40 }],
  ['getwithdrawtransactionsbyheight', 'null', { bestHeight: () => 40 }],
  ['getwithdrawtransactionsbyheight', 'array', { bestHeight: () => 40 }],
  ['sendrechargetransaction', 'string', {}],
  ['getexistdeposittransactions', 'array', {}],
]

describe('rpc-arbiter-to-side.json: recorded calls, byte for byte', () => {
  test('the raw example, headers included', async () => {
    const { raw_request, raw_response, response_headers, request_headers, path } = file.http_example
    expect(path).toBe('/')
    const authorization = request_headers[request_headers.indexOf('Authorization') + 1]
    expect(authorization).toBe(`Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`)
    const answer = await ask(await serve(), raw_request)
    expect(answer).toMatchObject({ status: 200, text: raw_response })
    for (let at = 0; at < response_headers.length; at += 2) {
      const name = (response_headers[at] as string).toLowerCase()
      if (name === 'date') expect(answer.headers[name]).toBeDefined()
      else expect(answer.headers[name]).toBe(response_headers[at + 1])
    }
  })

  test.each(recordedCases)('%s: %s', async (method, kind, changes) => {
    const sample = recorded(method, kind)
    const answer = await call(await serve(changes), sample)
    expect(answer).toMatchObject({ status: 200, text: JSON.stringify(sample.response) })
  })

  test('a deposit that is not credited yet is never lost: 45022, where the real node failed', async () => {
    const sample = recorded('sendrechargetransaction', 'error')
    const url = await serve()
    const waiting = JSON.parse((await call(url, sample)).text)
    expect(waiting).toMatchObject({ result: null, error: { code: SideRpcCode.notYet } })
    const failed = await serve({ deposit: () => Promise.resolve({ state: 'failed' }) })
    const refused = JSON.parse((await call(failed, sample)).text)
    expect(refused).toMatchObject({ result: null, error: { code: SideRpcCode.recharge } })
    const first = await call(url, deposited)
    expect((await call(url, deposited)).text).toBe(first.text)
  })

  test('a refused proof is an error with the reason', async () => {
    const url = await serve({ submit: () => fault('MAIN_ANCHOR_BLOCK', 'of another block') })
    const answer = await call(url, recorded('submitsideauxblock', 'string'))
    expect(JSON.parse(answer.text)).toMatchObject({
      result: null,
      error: { code: -32603, message: 'internal error: of another block' },
    })
  })
})

describe('rpc-arbiter-to-side.json: the HTTP layer', () => {
  const httpCase = (start: string) => {
    const found = file.http_layer_errors.find((error) => error.case.startsWith(start))
    if (!found) expect.fail(`no case ${start}`)
    return found
  }
  const body = '{"method":"getblockcount","params":null}'

  test('wrong credentials, content type and method', async () => {
    const url = await serve()
    const wrong = `Basic ${Buffer.from('side:other').toString('base64')}`
    for (const [start, changes] of [
      ['wrong credentials', { headers: { Authorization: wrong } }],
      ['content type', { headers: { 'Content-Type': 'application/xml' } }],
      ['GET', { method: 'GET' }],
    ] as const) {
      const expected = httpCase(start)
      const answer = await ask(url, start === 'GET' ? '' : body, changes)
      expect(answer.status).toBe(expected.status)
      expect(answer.text).toBe(JSON.stringify(expected.body))
    }
    expect((await ask(url, body, { headers: { 'Content-Type': 'text/plain' } })).status).toBe(200)
    const none = await ask(url, body, { headers: { Authorization: '' } })
    expect(none.status).toBe(401)
  })

  test('a caller that is not on the list', async () => {
    const url = await serve({}, { allow: ['10.0.0.1'] })
    const answer = await ask(url, body)
    expect(answer.status).toBe(403)
    expect(JSON.parse(answer.text)).toMatchObject({
      result: null,
      error: { code: -32603, message: 'Client ip is not allowed' },
    })
  })

  test('unknown method, no JSON, echoed id, batch', async () => {
    const url = await serve({ bestHeight: () => 60 })
    const unknown = await ask(url, '{"method":"nosuch","params":null}')
    expect(unknown.text).toBe(JSON.stringify(httpCase('unknown method').body))
    expect((await ask(url, 'xyz')).text).toBe(JSON.stringify(httpCase('body not JSON').body))
    for (const start of ['id is echoed', 'batch']) {
      const expected = httpCase(start)
      const answer = await ask(url, JSON.stringify(expected.request))
      expect(answer.text).toBe(JSON.stringify(expected.body))
    }
  })
})

describe('methods that were not recorded', () => {
  const result = async (method: string, params: unknown, changes: Partial<ArbiterChain> = {}) =>
    JSON.parse((await ask(await serve(changes), JSON.stringify({ method, params }))).text)
  const hex = toInternalHex(GENESIS)

  test('numbers as text and as numbers, named and positional', async () => {
    const changes = { bestHeight: () => 40 }
    for (const params of [{ height: '35' }, { height: 35 }, ['35'], [35]]) {
      const answer = await result('getwithdrawtransactionsbyheight', params, changes)
      expect(answer.result).toHaveLength(1)
    }
    for (const height of ['x', -1, 1.5, null, '99999999999']) {
      const answer = await result('getwithdrawtransactionsbyheight', { height }, changes)
      expect(answer).toMatchObject({ result: null, error: { code: -32602 } })
    }
    const future = await result('getwithdrawtransactionsbyheight', { height: 41 }, changes)
    expect(future).toMatchObject({ error: { code: -32603 } })
  })

  test('withdrawals are named in display order', async () => {
    const txid = 'f18967453a71a4128ff13c9c43945ddf60affd551243f7b9b25da4e47507173f'
    const [listed] = recorded('getwithdrawtransactionsbyheight', 'array').response
      .result as object[]
    expect((await result('getwithdrawtransaction', { txid })).result).toEqual(listed)
    const turned = await result('getwithdrawtransaction', { txid: toInternalHex(withdrawn) })
    expect(turned).toMatchObject({ result: null, error: { code: -32603 } })
  })

  test('evidence, failed deposits, small transfers, invalid withdrawals, pledge bills', async () => {
    const failed = internal('22'.repeat(32))
    const changes = {
      isFailed: (id: InternalHash) => bytesEqual(id, failed),
      failedDeposits: () => [failed],
      isReturned: (id: InternalHash) => bytesEqual(id, asInternalHash(reversed(withdrawn))),
    }
    const text = toInternalHex(failed)
    const answers = {
      illegal: await result('checkillegalevidence', { evidence: {} }),
      failed: await result('getfaileddeposittransactions', { height: 3 }, changes),
      byHash: await result('getfaileddeposittransactionbyhash', { hash: text }, changes),
      other: await result('getfaileddeposittransactionbyhash', { hash: hex }, changes),
      small: await result('sendsmallcrosstransaction', { txHash: depositedId }),
      smallWaiting: await result('sendsmallcrosstransaction', { txHash: hex }),
      returned: await result(
        'getprocessedinvalidwithdrawtransactions',
        { txs: [toInternalHex(withdrawn), hex, 'junk', 7] },
        changes,
      ),
      none: await result('getprocessedinvalidwithdrawtransactions', { txs: [] }),
      invalid: await result('sendinvalidwithdrawtransaction', { txHash: hex }, changes),
      pledge: await result('getPledgeBillBurnTransactionByHeight', { height: 1 }),
    }
    const results = Object.fromEntries(
      Object.entries(answers).map(([name, answer]) => [name, answer.result]),
    )
    expect(results).toEqual({
      illegal: false,
      failed: [text],
      byHash: text,
      other: '',
      small: true,
      smallWaiting: false,
      returned: [toInternalHex(withdrawn)],
      none: null,
      invalid: false,
      pledge: null,
    })
  })

  test('malformed hashes and proofs', async () => {
    for (const [method, params] of [
      ['sendrechargetransaction', { txid: '12' }],
      ['sendrechargetransaction', {}],
      ['submitsideauxblock', { blockhash: hex, sideauxpow: '00' }],
      ['submitsideauxblock', { blockhash: hex, sideauxpow: 'zz' }],
      ['submitsideauxblock', { blockhash: hex, sideauxpow: '00'.repeat(200_000) }],
      ['createauxblock', null],
      ['getexistdeposittransactions', { txs: 'x' }],
      ['getblockcount', 7],
    ] as const) {
      expect(await result(method, params)).toMatchObject({ result: null, error: { code: -32602 } })
    }
  })
})
