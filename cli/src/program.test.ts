import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { addressOf, formatAddress, publicKeyOf, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import {
  ContractType,
  NodeRole,
  NodeType,
  NONE,
  type ReceiptBody,
  ReceiptKind,
  StorageReceiptType,
} from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { type RpcServer, startRpcServer } from '@ioex/rpc/server'
import { MemoryLedger } from '@ioex/rpc/server/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createProgram, runCommandLine } from './program.ts'
import { pathOf, verbsBelow } from './verb-examples.ts'
import { ownerKeyOf } from './wallet/owner-key.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
const soon = { timeout: 30_000 }

const PHRASE = `${'abandon '.repeat(23)}art`
const owner = ownerKeyOf(PHRASE)
const nodeKey = publicKeyOf(sha256(utf8ToBytes('node')))
const text = (address: Uint8Array) => formatAddress(address, presets.local.addressPrefix)

let folder: string
let ledger: MemoryLedger
let server: RpcServer

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function ioex(
  args: string,
  options: { stdin?: string; data?: string } = {},
): Promise<Outcome> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await runCommandLine(args.split(' ').filter(Boolean), {
    stdout,
    stderr,
    stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
    env: { IOEX_RPC: server.url, IOEX_DATA: options.data ?? join(folder, 'data') },
    folder,
  })
  const read = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: read(stdout), err: read(stderr) }
}

const json = <T>({ out }: Outcome) => JSON.parse(out) as T

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-cli-'))
  ledger = new MemoryLedger({
    params: presets.local,
    validatorSecrets: [sha256(utf8ToBytes('validator'))],
  })
  ledger.fund(owner.address, 500_000_000n)
  ledger.nodeRecords.set(0, {
    ...NodeType.defaultValue(),
    owner: owner.address,
    payout: owner.address,
    nodeKey,
    roles: NodeRole.peer,
    pendingEpoch: NONE,
  })
  const value = {
    ...StorageReceiptType.defaultValue(),
    node: addressOf(nodeKey),
    fee: 100_000_000n,
  }
  ledger.append([{ selector: ReceiptKind.storage, value } satisfies ReceiptBody])
  server = await startRpcServer({ ledger, port: 0 })
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

describe('wallet', () => {
  test('import from standard input, address, balance', async () => {
    const imported = await ioex('wallet import --json', { stdin: `${PHRASE.toUpperCase()}\n` })
    expect(imported).toMatchObject({ code: 0, err: '' })
    const { address, path } = json<{ address: string; path: string }>(imported)
    expect(address).toBe(text(owner.address))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await ioex('wallet address')).toMatchObject({ code: 0, out: `${address}\n` })
    const balance = await ioex('wallet balance --json')
    expect(json(balance)).toMatchObject({ address, balance: '500000000', nonce: 0 })
    expect((await ioex('wallet balance')).out).toContain('5 IOEX')
    expect((await ioex(`wallet balance ${text(addressOf(nodeKey))}`)).out).toContain('0 IOEX')
  })

  test('an existing wallet is never overwritten', async () => {
    const before = await readFile(join(folder, 'data', 'wallet', 'wallet.json'), 'utf8')
    expect(await ioex('wallet create')).toMatchObject({ code: 1, out: '' })
    const again = await ioex('wallet import --json', { stdin: PHRASE })
    expect(JSON.parse(again.err)).toMatchObject({ error: { code: 'WALLET_EXISTS' } })
    expect(await readFile(join(folder, 'data', 'wallet', 'wallet.json'), 'utf8')).toBe(before)
  })

  test('send: waits until it is final', async () => {
    const to = text(addressOf(nodeKey))
    const sending = ioex(`wallet send ${to} 1.25 --json`)
    await expect.poll(() => ledger.nextNonce(owner.address), soon).toBe(1)
    ledger.append([])
    const sent = await sending
    const height = ledger.status().height
    expect(json(sent)).toMatchObject({ to, amount: '125000000', state: 'final', height })
    expect(ledger.account(owner.address)?.balance).toBe(375_000_000n)
    const quick = await ioex(`wallet send ${to} 1 --no-wait`)
    expect(quick).toMatchObject({ code: 0 })
    expect(quick.out).toContain('not final yet')
    ledger.append([])
  })

  test('send: what cannot be sent', async () => {
    const to = text(addressOf(nodeKey))
    const poor = await ioex(`wallet send ${to} 1000 --json`)
    expect(poor.code).toBe(1)
    expect(JSON.parse(poor.err)).toMatchObject({ error: { code: 'INSUFFICIENT_FUNDS' } })
    for (const [args, hint] of [
      [`${to} 0`, 'above 0'],
      [`${to} 1.123456789`, 'not an amount'],
      [`${to.slice(0, -1)}q 1`, 'address'],
      [`${formatAddress(owner.address, 'ioex')} 1`, 'network'],
      [to, 'missing required argument'],
    ] as const) {
      const outcome = await ioex(`wallet send ${args}`)
      expect([outcome.code, outcome.err.includes(hint)], outcome.err).toEqual([2, true])
    }
  })

  test('export, and a round trip through a file', async () => {
    expect((await ioex('wallet export')).out).toBe(`${PHRASE}\n`)
    expect(await ioex('wallet export -o words.txt')).toMatchObject({ code: 0 })
    expect((await stat(join(folder, 'words.txt'))).mode & 0o777).toBe(0o600)
    const data = join(folder, 'other')
    const imported = await ioex('wallet import --phrase-file words.txt --json', { data })
    expect(json(imported)).toMatchObject({ address: text(owner.address) })
    expect(await ioex('wallet export -o words.txt')).toMatchObject({ code: 1 })
  })

  test('missing, damaged, new', async () => {
    const data = join(folder, 'new')
    const missing = await ioex('wallet address', { data })
    expect([missing.code, missing.err.includes('ioex wallet create')]).toEqual([1, true])
    const made = await ioex('wallet create --json', { data })
    expect(json<{ address: string }>(made).address).toMatch(/^lioex1/)
    expect(made.out).not.toMatch(/abandon|phrase/)
    await writeFile(join(data, 'wallet', 'wallet.json'), '{"format":"ioex-wa')
    const damaged = await ioex('wallet address', { data })
    expect([damaged.code, damaged.err.includes('damaged')]).toEqual([1, true])
    expect(damaged.err).not.toMatch(/\n\s+at /)
    const wrong = await ioex('wallet import', { data: join(folder, 'x'), stdin: 'twelve words' })
    expect([wrong.code, wrong.err.includes('24 words')]).toEqual([1, true])
  })
})

describe('reading the ledger', () => {
  test('rpc: results, parameters, errors', async () => {
    expect(json(await ioex('rpc chain_getStatus --json'))).toMatchObject({ network: 'local' })
    const block = await ioex('rpc chain_getBlock {"height":1}')
    expect(json(block)).toMatchObject({ height: 1 })
    const unknown = await ioex('rpc chain_getMoon --json')
    expect([unknown.code, JSON.parse(unknown.err).error.code]).toEqual([1, 'METHOD_NOT_FOUND'])
    for (const params of ['{height:1}', '[1]', '5']) {
      expect((await ioex(`rpc chain_getBlock ${params}`)).code).toBe(2)
    }
  })

  test('rewards: own nodes, one epoch, CSV', async () => {
    const node = text(addressOf(nodeKey))
    const table = await ioex('rewards')
    expect(table.out).toContain(node)
    expect(table.out).toMatch(/all +1 /)
    const statement = await ioex(`rewards ${node} --epoch 1 --json`)
    expect(json(statement)).toMatchObject({ node, epoch: 1, fees: '100000000' })
    expect((await ioex('rewards 0 --epoch 1')).out).toMatch(/fees paid by customers +1 IOEX/)
    const csv = (await ioex('rewards 0 --from 0 --to 5 --csv')).out.trim().split('\n')
    expect(csv[0]).toMatch(/^node,epoch,fees,/)
    expect(csv[1]).toMatch(`${node},1,100000000,`)
    const priced = (await ioex('rewards 0 --to 5 --csv --price 0.042')).out.trim().split('\n')
    expect(priced[0]).toMatch(/,income,price,currency,value$/)
    expect(priced[1]).toMatch(/,0\.042,USD,0\.000000$/)
    expect(json(await ioex('rewards 0 --to 5 --price 2 --currency EUR --json'))).toMatchObject({
      totals: { costBasis: { price: '2', currency: 'EUR', income: '0', value: '0.000000' } },
    })
    expect((await ioex('rewards 0 --price -1')).code).toBe(2)
    expect((await ioex('rewards 0 --price 1 --currency a,b')).code).toBe(2)
    expect((await ioex('rewards 0 --from 5 --to 1')).code).toBe(2)
    expect((await ioex('rewards 0 --epoch x')).code).toBe(2)
    expect((await ioex('rewards 9')).code).toBe(1)
  })

  test('receipts: list and one with its proof', async () => {
    const list = await ioex('receipts ls --node 0 --json')
    const { receipts } = json<{ receipts: { id: string }[] }>(list)
    expect(receipts).toHaveLength(1)
    expect((await ioex('receipts ls --type storage')).out).toContain(receipts[0]?.id)
    const shown = await ioex(`receipts show ${receipts[0]?.id}`)
    expect(shown.out).toMatch(/fee +1 IOEX/)
    expect(shown.out).toContain('up to receiptRoot')
    expect((await ioex(`receipts show ${receipts[0]?.id} --explain`)).out).toContain('all inputs')
    expect(
      json<{ receipts: [] }>(await ioex('receipts ls --from 2 --to 9 --json')).receipts,
    ).toEqual([])
    expect((await ioex('receipts ls --epoch 1 --to 2')).code).toBe(2)
    expect((await ioex('receipts ls --epoch 40')).out).toBe('No receipts.\n')
    expect((await ioex('receipts ls --type sun')).code).toBe(2)
    expect((await ioex('receipts show 12')).code).toBe(1)
  })

  test('contract: none yet; one with its slots and health; what it refuses', async () => {
    expect((await ioex('contract ls')).out).toBe('No contracts.\n')
    const record = { ...ContractType.defaultValue(), live: true, k: 1, n: 2, askEpoch: NONE }
    const empty = { rail: NONE, root: new Uint8Array(32), refill: 0 }
    ledger.contractRecords.set(0, { ...record, payer: owner.address, rails: [empty, empty] })
    expect((await ioex('contract ls')).out).toContain('0 of 2, any 1')
    const shown = await ioex('contract show 0')
    expect(shown.out).toMatch(/health +act-now/)
    expect(json(await ioex('contract show 0 --json'))).toMatchObject({
      index: 0,
      health: { live: 0 },
      railRecords: [],
    })
    expect((await ioex('contract show 7')).code).toBe(1)
    expect((await ioex('contract topup 0 0')).code).toBe(2)
    expect((await ioex('contract open --data-shards 2')).code).toBe(2)
    // Without the node owner's key the node does not serve it.
    const open = '--data-shards 1 --total-shards 2 --slot 1MiB --price 1 --unit-price 0'
    expect((await ioex(`contract open ${open}`)).code).toBe(1)
    ledger.contractRecords.delete(0)
  })

  test('anchor status', async () => {
    expect((await ioex('anchor status')).out).toContain('none yet')
    expect(json(await ioex('anchor status --json'))).toMatchObject({ epoch: null, state: 'none' })
  })
})

describe('mistakes', () => {
  test('unknown commands and options: exit code 2 and a hint', async () => {
    for (const args of ['', 'walet', 'wallet fly', 'rpc', 'wallet balance --moon']) {
      const outcome = await ioex(args)
      expect([outcome.code, outcome.out]).toEqual([2, ''])
      expect(outcome.err).not.toMatch(/\n\s+at /)
    }
    expect((await ioex('walet')).err).toContain('Did you mean wallet?')
    expect(JSON.parse((await ioex('walet --json')).err)).toMatchObject({ error: { code: 'USAGE' } })
  })

  test('help and version are no mistakes', async () => {
    expect(await ioex('--version')).toMatchObject({ code: 0, out: '0.1.0\n' })
  })

  test('every verb and sub-verb has a help with examples', async () => {
    const verbs = verbsBelow(createProgram({ ...process, folder }, false)).map(pathOf)
    expect(verbs.length).toBeGreaterThan(40)
    const bare: string[] = []
    for (const verb of ['', ...verbs]) {
      const help = await ioex(`${verb} --help`)
      expect(help, verb).toMatchObject({ code: 0, err: '' })
      if (!/^Examples?(,.*)?:\n {2}\$ /m.test(help.out)) bare.push(verb)
      // An example shows the verb that it stands under.
      else if (!help.out.split(/^Examples?/m)[1]?.includes(verb)) bare.push(verb)
    }
    expect(bare).toEqual([])
  })

  test('a node that is not there, and one that is no node', async () => {
    const nobody = await ioex('anchor status --rpc http://127.0.0.1:9')
    expect([nobody.code, nobody.err.includes('npm start')]).toEqual([1, true])
    const wrong = await ioex('anchor status --rpc nonsense')
    expect(wrong.code).toBe(2)
    const page = await ioex(`anchor status --rpc ${server.url}/nothing`)
    expect([page.code, page.err.split('\n').length]).toEqual([1, 2])
  })
})

test('the installed command runs, on the pinned Node if need be', async () => {
  const bin = fileURLToPath(new URL('../bin/ioex.js', import.meta.url))
  const run = (node: string, ...args: string[]) =>
    new Promise<Outcome>((resolve) => {
      const options = { cwd: folder, env: { ...process.env, IOEX_RPC: server.url } }
      execFile(node, [bin, ...args], options, (error, out, err) => {
        const code = error ? Number(error.code) : 0
        resolve({ code, out, err })
      })
    })
  expect(await run(process.execPath, '--version')).toEqual({ code: 0, out: '0.1.0\n', err: '' })
  expect((await run(process.execPath, 'walet')).code).toBe(2)
  const status = await run(process.execPath, 'rpc', 'chain_getStatus', '--json')
  expect(json(status)).toMatchObject({ network: 'local' })
})
