import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { presets } from '@ioex/genesis/presets'
import { type RpcServer, startRpcServer } from '@ioex/rpc/server'
import { MemoryLedger } from '@ioex/rpc/server/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createNetwork } from '../../cli/src/devnet/create-network.ts'
import { filesBelow, ioex } from './ioex-process.ts'

const NOBODY = 'http://127.0.0.1:9'
const SMALL = { preset: 'ci', validators: 4, bootstraps: 2, peers: 8, portBase: 0 } as const

let folder: string
/** A network that was made but does not run, and copies of it with one damaged file each. */
let whole: string
let noRecord: string
let noWallet: string
let noGenesis: string
let otherGenesis: string
let server: RpcServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-cli-e2e-'))
  whole = join(folder, 'whole')
  await createNetwork({ ...SMALL, data: whole })
  const damagedCopy = async (name: string, file: string, damage: (text: string) => string) => {
    const data = join(folder, name)
    await cp(whole, data, { recursive: true })
    const path = join(data, file)
    await writeFile(path, damage(await readFile(path, 'utf8')))
    return data
  }
  const cut = (text: string) => text.slice(0, text.length / 2)
  noRecord = await damagedCopy('no-record', 'devnet.json', cut)
  noWallet = await damagedCopy('no-wallet', 'wallet/wallet.json', cut)
  noGenesis = await damagedCopy('no-genesis', 'genesis.json', cut)
  otherGenesis = await damagedCopy('other-genesis', 'genesis.json', (text) =>
    text.replace(/("document": "[0-9a-f]{200})../, '$1ff'),
  )
  const ledger = new MemoryLedger({
    params: presets.ci,
    validatorSecrets: [sha256(utf8ToBytes('validator'))],
  })
  ledger.append([])
  server = await startRpcServer({ ledger, port: 0 })
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

interface Mistake {
  readonly args: readonly string[]
  readonly exit: 1 | 2
  readonly code: string
  /** What the line must say: where it is wrong and what to do. */
  readonly says: readonly string[]
}

/** With --json: exit code, one error on stderr, nothing on stdout, nothing lost; its message. */
async function expectRefusal({ args, exit, code, says }: Mistake): Promise<string> {
  const before = await filesBelow(folder)
  const outcome = await ioex([...args, '--json'])
  expect([outcome.code, outcome.out], outcome.err).toEqual([exit, ''])
  const { error } = JSON.parse(outcome.err) as { error: { code: string; message: string } }
  expect(error).toEqual({ code, message: expect.stringMatching(/^[^\n]+$/) })
  for (const part of says) expect(error.message).toContain(part)
  const after = await filesBelow(folder)
  for (const [path, hash] of before) expect([path, after.get(path)]).toEqual([path, hash])
  return error.message
}

/** As a person gives it: the same message as one line. */
async function expectLine(mistake: Mistake): Promise<void> {
  const message = await expectRefusal(mistake)
  const outcome = await ioex(mistake.args)
  expect(outcome).toEqual({ code: mistake.exit, out: '', err: `ioex: ${message}\n` })
}

const usage = (args: string, ...says: string[]): Mistake => ({
  args: args.split(' '),
  exit: 2,
  code: 'USAGE',
  says,
})

describe.concurrent('wrong usage ends with exit code 2', () => {
  test.for([
    usage('walet', "unknown command 'walet'", 'Did you mean wallet?', '--help'),
    usage('put', "missing required argument 'file'", '--help'),
    usage('get holiday.mp4', '--output', '--help'),
    usage('get holiday.mp4 -o x --range 9-1', 'FROM-TO'),
    usage('devnet stauts', 'too many arguments', '--help'),
    usage('devnet --peers many', '--peers', 'whole number'),
    usage('rpc chain_getBlock {height:1}', 'not JSON', '\'{"height": 12}\''),
    { ...usage('node', '--roles', 'IOEX_ROLES'), code: 'ROLES_MISSING' },
  ])('$args', (mistake) => expectLine(mistake))

  test.for([
    ['rpc', 'chain_getStatus', '--rpc', 'nonsense'],
    ['devnet', '--network', 'moon'],
  ])('%j', async (args) => {
    const says = [`${(args[2] as string).slice(2)}: `]
    await expectRefusal({ args, exit: 2, code: 'CONFIG', says })
  })

  test('without a command: the help, on stderr', async () => {
    const { code, out, err } = await ioex([])
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('Usage: ioex')
    const asJson = await ioex(['--json'])
    expect(JSON.parse(asJson.err)).toMatchObject({ error: { code: 'USAGE' } })
  })
})

describe('what cannot be done ends with exit code 1', () => {
  test('a file that is missing, a folder, no place to write', async () => {
    const put = ['put', join(folder, 'nothing.bin'), '--data', whole]
    await expectRefusal({
      args: put,
      exit: 1,
      code: 'ENOENT',
      says: ['no such file', 'nothing.bin'],
    })
    const get = ['get', 'x', '--data', whole, '-o']
    const taken = {
      args: [...get, folder],
      exit: 1,
      code: 'NOT_A_FILE',
      says: ['is a folder'],
    } as const
    await expectRefusal(taken)
    const says = ['there is no folder']
    const args = [...get, join(folder, 'nowhere', 'x')]
    await expectRefusal({ args, exit: 1, code: 'FOLDER_MISSING', says })
  })

  test('an RPC address where nobody answers', async () => {
    const args = ['rpc', 'chain_getStatus', '--rpc', NOBODY]
    const says = [NOBODY, 'npm start', '--rpc URL']
    await expectLine({ args, exit: 1, code: 'UNREACHABLE', says })
  })

  test('files of a network that does not run', async () => {
    const args = ['ls', '--data', whole]
    await expectRefusal({ args, exit: 1, code: 'UNREACHABLE', says: [whole, 'npm start'] })
  })

  test('what the node refuses: an unknown method, malformed hex', async () => {
    const ask = (...call: string[]) => ['rpc', ...call, '--rpc', server.url]
    await expectRefusal({
      args: ask('chain_getMoon'),
      exit: 1,
      code: 'METHOD_NOT_FOUND',
      says: ['"chain_getMoon"', 'rpc.discover'],
    })
    for (const transaction of ['zz', 'abc']) {
      await expectRefusal({
        args: ask('chain_sendTransaction', JSON.stringify({ transaction })),
        exit: 1,
        code: 'INVALID_PARAMS',
        says: ['transaction: give hex text'],
      })
    }
  })

  test('a folder without a network, one that is a file', async () => {
    const says = ['there is no wallet at', 'ioex wallet create']
    const args = ['ls', '--data', join(folder, 'empty')]
    await expectRefusal({ args, exit: 1, code: 'WALLET_MISSING', says })
    const file = join(whole, 'devnet.json')
    const wrong = ['wallet', 'create', '--data', file]
    await expectRefusal({ args: wrong, exit: 1, code: 'ENOTDIR', says: ['is not a folder'] })
  })
})

describe('damaged files are named and left as they are', () => {
  test('devnet.json', async () => {
    const says = [join(noRecord, 'devnet.json'), 'is damaged', '--reset', 'restore']
    for (const verb of ['devnet', 'ls']) {
      const args = [verb, '--data', noRecord]
      await expectRefusal({ args, exit: 1, code: 'NETWORK_DAMAGED', says })
    }
  })

  test('the wallet', async () => {
    const says = [join(noWallet, 'wallet', 'wallet.json'), 'is damaged', '24 words']
    for (const verb of [['wallet', 'address'], ['ls']]) {
      const args = [...verb, '--data', noWallet]
      await expectRefusal({ args, exit: 1, code: 'WALLET_DAMAGED', says })
    }
  })

  test('genesis.json cut off, or with another content', async () => {
    const cut = { exit: 1, code: 'GENESIS_DAMAGED', says: [noGenesis, 'is damaged'] } as const
    await expectRefusal({ args: ['ls', '--data', noGenesis], ...cut })
    const other = {
      exit: 1,
      code: 'CONFIG',
      says: [otherGenesis, 'is damaged', 'restore'],
    } as const
    for (const verb of ['devnet', 'ls']) {
      await expectRefusal({ args: [verb, '--data', otherGenesis], ...other })
    }
    const args = ['audit', '--rpc', NOBODY, '--data', otherGenesis]
    await expectRefusal({ args, exit: 1, code: 'GENESIS_CHAIN_ID', says: [otherGenesis] })
  })
})

test('a stack trace only where it is asked for', async () => {
  const args = ['rpc', 'chain_getStatus', '--rpc', NOBODY]
  expect((await ioex(args)).err).not.toMatch(/\n\s+at /)
  expect((await ioex(args, { IOEX_DEBUG: '1' })).err).toMatch(/\n\s+at /)
})
