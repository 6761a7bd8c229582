import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { planWithdrawal, signByArbiters } from '@ioex/chain/arbiter'
import { fromHex } from '@ioex/chain/bytes'
import {
  type DecodedTransaction,
  decodeTransaction,
  ELA_ASSET_ID,
  type InternalHash,
  type MainInput,
  parseElaAddress,
  toDisplayHash,
  toInternalHex,
  TransactionKind,
} from '@ioex/chain/elastos'
import { createMainChainClient } from '@ioex/chain/follower'
import {
  type BuiltInMainChain,
  checkTransaction,
  CrossChainState,
  startBuiltInMainChain,
  type Utxo,
} from '@ioex/chain/main-chain'
import { afterEach, describe, expect, test } from 'vitest'
import { internal, readVectors, valueOf } from './vector-file.ts'

interface Call {
  readonly method: string
  readonly params: Readonly<Record<string, unknown>> | null
}

interface Withdraws {
  readonly arbiter_keys: readonly { readonly priv: string; readonly pub: string }[]
  readonly accepted: readonly {
    readonly name: string
    readonly raw: string
    readonly expected_txid_display: string
  }[]
  readonly rejected: readonly {
    readonly name: string
    readonly raw?: string
    readonly response: { readonly code: number; readonly message: string }
  }[]
  readonly rpc_after: readonly { readonly request: Call; readonly result: unknown }[]
}

interface Recorded {
  readonly http_example: {
    readonly method: string
    readonly path: string
    readonly request_headers: readonly string[]
    readonly response_headers: readonly string[]
    readonly raw_request: string
    readonly raw_response: string
  }
  readonly methods: Record<string, { samples: Record<string, Sample> }>
}

interface Sample {
  readonly request_body: Call
  readonly response: {
    readonly result: unknown
    readonly error: { readonly code: number; readonly message: string } | null
  }
}

const withdraws = readVectors<Withdraws>('withdraw-main.json')
const recorded = readVectors<Recorded>('rpc-arbiter-to-main.json')
const X_ADDRESS = 'XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ'
const PAYER = 'EWkFCXQetfxxFhYzFwxntbzrMoe7q79yHs'
const programHash = (address: string) => valueOf(parseElaAddress(address))
const MINUTE = 60_000

/** Where the coin lay that the recorded withdrawals and refunds spend. */
const DEPOSIT = {
  id: internal('7fe1f8d4deb62ba890d76a410bc874d021499bdd7bf26b515fffb524a3d8091c'),
  index: 0,
  sela: 20_010_000n,
}
const CHANGE = {
  id: internal('14421ece6d3499627c2f27aea08f46e2279f7468cbffa0acb51c9fdd560ef02c'),
  index: 1,
  sela: 110_000_000n,
}

const opened: { chain: BuiltInMainChain; folder: string }[] = []
afterEach(async () => {
  for (const { chain, folder } of opened.splice(0)) {
    await chain.stop()
    await rm(folder, { recursive: true, force: true })
  }
})

/** A chain with the recorded arbiters. */
async function open(rpc: { user?: string; password?: string } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'recorded-'))
  const chain = await startBuiltInMainChain({
    dataDir: folder,
    genesis: { allocations: [{ address: PAYER, sela: 1n }], timestamp: 1_700_000_000 },
    minerAddress: PAYER,
    blockIntervalMs: 0,
    rpc: { port: 0, ...rpc },
    arbiters: withdraws.arbiter_keys.map(({ pub }) => fromHex(pub)),
  })
  opened.push({ chain, folder })
  return { chain, client: createMainChainClient({ url: chain.rpcUrl }) }
}

/** A transaction of the recorded chain, as far as those that spend it look at it. */
function earlier(
  { id, index, sela }: typeof DEPOSIT,
  owner: Uint8Array,
  inputs: readonly MainInput[] = [],
): DecodedTransaction {
  const output = (value: bigint) => ({
    assetId: ELA_ASSET_ID,
    value,
    outputLock: 0,
    programHash: owner,
    payload: { kind: 'none' as const },
  })
  const outputs = Array.from({ length: index + 1 }, (_, i) => output(i === index ? sela : 0n))
  const transaction = {
    version: 9,
    type: TransactionKind.transferCrossChain,
    payloadVersion: 1,
    payload: { kind: 'cross-chain-by-outputs' as const },
    attributes: [],
    inputs,
    outputs,
    lockTime: 0,
    programs: [],
  }
  return { transaction, id, unsigned: new Uint8Array(0), raw: new Uint8Array(0) }
}

const give = (chain: BuiltInMainChain, coin: typeof DEPOSIT, owner = X_ADDRESS) =>
  chain.ledger.utxos.apply([earlier(coin, programHash(owner))], 0)

/** Makes the chain remember the deposit that accepted and rejected refunds are for. */
function rememberDeposit(chain: BuiltInMainChain, payer: Uint8Array): void {
  const paid = { transactionId: internal('99'.repeat(32)), index: 0, sequence: 0 }
  const deposit = earlier(DEPOSIT, programHash(X_ADDRESS), [paid])
  const source = earlier({ id: paid.transactionId, index: 0, sela: 1n }, payer)
  const [output] = source.transaction.outputs
  if (!output) expect.fail('the source has an output')
  const spent: Utxo = {
    transactionId: paid.transactionId,
    index: 0,
    output,
    height: 0,
    transactionType: TransactionKind.transfer,
  }
  chain.ledger.crossChain.apply('recorded deposit', [deposit], { spent: [spent], created: [] })
}

async function ask(chain: BuiltInMainChain, call: Call) {
  const response = await fetch(chain.rpcUrl, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(call),
  })
  return (await response.json()) as Sample['response']
}

const send = (chain: BuiltInMainChain, data: string) =>
  ask(chain, { method: 'sendrawtransaction', params: { data } })

/** How each refusal is brought about on a chain of ours: the bytes sent and what they spend. */
const withdrawal = withdraws.accepted.find(({ name }) => name.startsWith('Withdraw'))
const refund = withdraws.accepted.find(({ name }) => name.startsWith('ReturnSideChain'))
const spendChange = (chain: BuiltInMainChain) => give(chain, CHANGE)
const refusals = new Map<string, { raw?: string; prepare: (chain: BuiltInMainChain) => unknown }>([
  ['V1 m=3 of 5 (CRAgreementCount 4)', { prepare: spendChange }],
  ['V1 code tail AE instead of AF', { prepare: spendChange }],
  [
    'plain transfer spending an X output with an ordinary program of a stranger',
    { prepare: spendChange },
  ],
  [
    'withdraw input that is not an X output',
    { raw: withdrawal?.raw ?? '', prepare: (chain) => give(chain, DEPOSIT, PAYER) },
  ],
  [
    '0x51 to another address',
    {
      raw: refund?.raw ?? '',
      prepare: (chain) => {
        give(chain, CHANGE)
        rememberDeposit(chain, new Uint8Array(21).fill(0x21))
      },
    },
  ],
])

describe('withdraw-main.json through the JSON-RPC of the built-in main chain', () => {
  test.each(withdraws.accepted)(
    'accepted: $name',
    async ({ raw, expected_txid_display }) => {
      const { chain } = await open()
      give(chain, DEPOSIT)
      give(chain, CHANGE)
      const { transaction } = valueOf(decodeTransaction(fromHex(raw)))
      rememberDeposit(chain, transaction.outputs[0]?.programHash ?? new Uint8Array(21))
      expect(await send(chain, raw)).toMatchObject({ result: expected_txid_display, error: null })
    },
    MINUTE,
  )

  test.each(withdraws.rejected)(
    'rejected: $name',
    async ({ name, raw, response }) => {
      const how = refusals.get(name)
      if (!how) expect.fail('a kind of refusal that no runner knows')
      const { chain } = await open()
      how.prepare(chain)
      const answer = await send(chain, raw ?? how.raw ?? '')
      expect(answer).toMatchObject({ result: null, error: { code: response.code } })
      // The words after the last colon are the reason. Who spends an X output with a program of
      // their own is told here that they do not own it, before the length of the code matters.
      const reason = name.startsWith('plain transfer')
        ? 'the program is not the owner'
        : response.message.slice(response.message.lastIndexOf(':') + 1)
      expect(answer.error?.message).toContain(reason)
    },
    MINUTE,
  )

  test(
    'rpc_after: what was asked after the withdrawal is answered alike',
    async () => {
      const { chain, client } = await open()
      give(chain, DEPOSIT)
      const [exists, amount] = withdraws.rpc_after
      if (!exists || !amount) expect.fail('the recorded calls are missing')
      expect(withdraws.rpc_after).toHaveLength(2)
      expect(amount.request.method).toBe('getamountbyinputs')
      expect(await ask(chain, amount.request)).toMatchObject({ result: amount.result, error: null })
      expect(exists.request.method).toBe('getexistwithdrawtransactions')
      expect(await ask(chain, exists.request)).toMatchObject({ result: null, error: null })
      const [text] = exists.result as readonly string[]
      if (!text) expect.fail('the answer names the side transaction')
      const payment = { sideTransaction: internal(text), address: PAYER, sela: 10_000_000n }
      const spendable = await client.listUnspent(X_ADDRESS)
      const plan = { sideAddress: X_ADDRESS, spendable, feeSela: 10_000n }
      const secrets = withdraws.arbiter_keys.map(({ priv }) => fromHex(priv))
      const raw = signByArbiters(valueOf(planWithdrawal(plan, [payment])), secrets, 4)
      await client.sendRawTransaction(raw)
      await chain.mine()
      expect(await ask(chain, exists.request)).toMatchObject({ result: exists.result, error: null })
      const display = toDisplayHash(internal(text))
      const turned = { ...exists.request, params: { txs: [display] } }
      expect(await ask(chain, turned)).toMatchObject({ result: null, error: null })
      const kinds = recorded.methods['getexistwithdrawtransactions']?.samples
      expect(kinds?.['array']?.response.result).toEqual(exists.result)
    },
    MINUTE,
  )
})

describe('rpc-arbiter-to-main.json', () => {
  test(
    'http_example: the same request over HTTP, the same form of answer',
    async () => {
      const example = recorded.http_example
      const { chain } = await open({ user: 'ela', password: 'elapass' })
      await chain.mine()
      const { port } = new URL(chain.rpcUrl)
      const pairs = Object.fromEntries(pairsOf(example.request_headers))
      const headers = { ...pairs, Host: `127.0.0.1:${port}` }
      const { method, path, raw_request } = example
      const answer = await exchange({ port, method, path, headers }, raw_request)
      expect(answer.status).toBe(200)
      for (const [name] of pairsOf(example.response_headers)) {
        expect(answer.headers[name.toLowerCase()], name).toBeDefined()
      }
      expect(answer.headers['content-type']).toBe('application/json')
      expect(answer.headers['content-length']).toBe(String(answer.body.length))
      // The caller can read gzip; the answer comes plain all the same.
      expect(answer.headers['content-encoding']).toBeUndefined()
      const theirs = JSON.parse(example.raw_response) as { result: number }
      expect(JSON.parse(answer.body)).toEqual({ ...theirs, result: chain.height + 1 })
      const stranger = { ...headers, Authorization: 'Basic ZWxhOmVsYXBhc3Q=' }
      const refused = await exchange({ port, method, path, headers: stranger }, raw_request)
      expect(refused.status).toBe(401)
    },
    MINUTE,
  )

  test.each(Object.entries(recorded.methods['sendrawtransaction']?.samples ?? {}))(
    'sendrawtransaction, %s: the rules say what the real node said',
    (_, { request_body, response }) => {
      const decoded = valueOf(decodeTransaction(fromHex(String(request_body.params?.['data']))))
      const { lockTime, programs } = decoded.transaction
      const isMatched = !response.error?.message.includes('Arbitrator is not matched')
      const isLocked = response.error?.message.includes('coinbase is locking') ?? false
      // One arbiter was on duty: its key stands in the program that pays the fee.
      const onDuty = programs[0]?.code.subarray(1, 34) ?? new Uint8Array(33)
      const others = withdraws.arbiter_keys.map(({ pub }) => fromHex(pub))
      const judged = checkTransaction(decoded, {
        utxo: (input) => coinFor(decoded, input, isLocked ? lockTime : 0),
        height: lockTime + 1,
        coinbaseMaturity: 100,
        crossChain: new CrossChainState(isMatched ? [onDuty] : others),
        checkSignatures: true,
      })
      if (response.error === null) {
        expect(valueOf(judged)).toBe(10_000n)
        expect(toDisplayHash(decoded.id)).toBe(response.result)
        return
      }
      const message = judged.ok ? 'accepted' : judged.fault.message
      expect(message).toMatch(isLocked ? /coinbase is locking/ : /Arbitrator is not matched/)
      expect(response.error.code).toBe(43001)
    },
  )
})

/** The coin that this input spends, mined at this height (0 for a coin of genesis). */
function coinFor(
  { transaction }: DecodedTransaction,
  { transactionId, index }: { transactionId: InternalHash; index: number },
  height: number,
): Utxo {
  const [output] = transaction.outputs
  const code = transaction.programs[0]?.code
  if (!output || !code) expect.fail(`nothing to pay in ${toInternalHex(transactionId)}`)
  const transactionType = TransactionKind.coinbase
  const coin = { ...output, value: output.value + 10_000n }
  return { transactionId, index, output: coin, height, transactionType }
}

/** Names and values stand in one list by turns. */
function pairsOf(list: readonly string[]): [string, string][] {
  const names = list.filter((_, i) => i % 2 === 0)
  return names.map((name, i) => [name, list[2 * i + 1] ?? ''])
}

function exchange(
  options: { port: string; method: string; path: string; headers: Record<string, string> },
  body: string,
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', ...options }, (response) => {
      const { statusCode: status = 0, headers } = response
      textOf(response).then((body) => resolve({ status, headers, body }), reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
