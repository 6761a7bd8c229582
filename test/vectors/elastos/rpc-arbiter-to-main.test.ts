import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BuiltInMainChain, startBuiltInMainChain } from '@ioex/chain/main-chain'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readVectors } from './vector-file.ts'

interface Sample {
  readonly request_body: {
    readonly method: string
    readonly params: Record<string, unknown> | null
  }
  readonly response: { readonly result: unknown; readonly error: { code: number } | null }
}

const file = readVectors<{
  methods: Record<string, { samples: Record<string, Sample> }>
}>('rpc-arbiter-to-main.json')

const PAYER = 'EWkFCXQetfxxFhYzFwxntbzrMoe7q79yHs'
const SIDE_CHAIN = 'XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ'
let dataDir: string
let chain: BuiltInMainChain

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'rpc-vectors-'))
  const allocations = [PAYER, SIDE_CHAIN].map((address) => ({ address, sela: 100_000_000n }))
  chain = await startBuiltInMainChain({
    dataDir,
    genesis: { allocations, timestamp: 1_700_000_000 },
    minerAddress: PAYER,
    blockIntervalMs: 0,
    rpc: { port: 0 },
  })
  await chain.mine()
})

afterAll(async () => {
  await chain.stop()
  await rm(dataDir, { recursive: true, force: true })
})

/** The shape of an answer: its keys and kinds of values, without the values. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return [shape(value.find((item) => typeof item === 'object'))]
  if (typeof value !== 'object' || value === null) return typeof value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, shape(item)]))
}

async function ask(body: unknown): Promise<unknown> {
  const response = await fetch(chain.rpcUrl, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  return response.json()
}

/** Recorded successes that do not depend on what happened on that chain. */
const answered = [
  'getblockcount',
  'listunspent',
  'getutxosbyamount',
  'getallregistertransactions',
  'getsmallcrosstransfertxs',
].flatMap((method) =>
  Object.values(file.methods[method]?.samples ?? {}).filter(
    ({ response, request_body: { params } }) =>
      response.error === null && (!params?.['address'] || params['address'] === SIDE_CHAIN),
  ),
)

describe('rpc-arbiter-to-main.json', () => {
  test.each(answered)('the built-in chain answers $request_body.method alike', async (sample) => {
    expect(shape(await ask(sample.request_body))).toEqual(shape(sample.response))
  })

  test('withdrawals that nobody paid are null', async () => {
    const samples = Object.values(file.methods['getexistwithdrawtransactions']?.samples ?? {})
    const none = samples.find(({ response }) => response.result === null)
    if (!none) expect.fail('the vector is missing')
    expect(shape(await ask(none.request_body))).toEqual(shape(none.response))
  })

  test('errors have the shape and the codes that were recorded', async () => {
    const [poor] = Object.values(file.methods['getutxosbyamount']?.samples ?? {}).filter(
      ({ response }) => response.error !== null,
    )
    if (!poor) expect.fail('the vector is missing')
    const answer = await ask(poor.request_body)
    expect(shape(answer)).toEqual(shape(poor.response))
    expect(answer).toMatchObject({ error: { code: poor.response.error?.code } })
    for (const { request_body, response } of Object.values(
      file.methods['sendrawtransaction']?.samples ?? {},
    )) {
      // The recorded arbiter is not one of this chain: the refusal's form is what counts.
      const refused = await ask(request_body)
      expect(refused).toMatchObject({ result: null, error: { code: 43001 } })
      if (response.error) expect(shape(refused)).toEqual(shape(response))
    }
  })
})
