import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { formatAddress, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { formatElaAddress } from '@ioex/chain/elastos'
import { depositProgramHash, payableAddress } from '@ioex/chain/rules'
import { presets } from '@ioex/genesis/presets'
import { type RpcServer, startRpcServer } from '@ioex/rpc/server'
import { MemoryLedger } from '@ioex/rpc/server/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createNetwork } from '../devnet/create-network.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { runCommandLine } from '../program.ts'
import { SKIPPED_ADDRESSES } from '../wallet/skipped-addresses.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const MAIN_ADDRESS = 'ELANULLXXXXXXXXXXXXXXXXXXXXXYvs3rr'
const NOBODY = 'http://127.0.0.1:9'
const target = formatAddress(new Uint8Array(20).fill(7), presets.local.addressPrefix)

let folder: string
let ledger: MemoryLedger
let server: RpcServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-peg-'))
  ledger = new MemoryLedger({
    params: presets.local,
    validatorSecrets: [sha256(utf8ToBytes('validator'))],
  })
  ledger.append([])
  server = await startRpcServer({ ledger, port: 0 })
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

async function ioex(args: string, data = join(folder, 'data'), rpc = server.url) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await runCommandLine(args.split(' ').filter(Boolean), {
    stdout,
    stderr,
    stdin: Readable.from([]),
    env: { IOEX_RPC: rpc, IOEX_DATA: data },
    folder,
  })
  const read = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: read(stdout), err: read(stderr) }
}

test('the deposit address follows from the chain id; a node that names it is not trusted alone', async () => {
  const depositAddress = formatElaAddress(depositProgramHash(ledger.chainId))
  const shown = await ioex(`wallet deposit-address ${target}`)
  expect(shown.code).toBe(0)
  expect(shown.err).toContain('Compare it with a second node')
  expect(shown.out).toContain(`pay to         ${depositAddress}`)
  expect(shown.out).toContain(`targetAddress ${target}`)
  expect(shown.out).toContain('1.00010000 ELA')
  const { out } = await ioex(`wallet deposit-address ${target} --json`)
  expect(JSON.parse(out)).toMatchObject({
    depositAddress,
    target,
    confirmations: presets.local.depositConfirmations,
    example: {
      type: 8,
      payloadVersion: 1,
      output: { address: depositAddress, value: '1.00010000', payload: { targetAddress: target } },
    },
  })
})

test('with the genesis file in the data folder no node is asked', async () => {
  const data = join(folder, 'network')
  const size = { validators: 4, bootstraps: 0, peers: 0, portBase: 0 }
  await createNetwork({ ...size, data, preset: 'local' })
  const { chainId } = await readGenesis(join(data, 'genesis.json'))
  const shown = await ioex('wallet deposit-address --json', data, NOBODY)
  expect([shown.code, shown.err]).toEqual([0, ''])
  const { depositAddress } = JSON.parse(shown.out) as { depositAddress: string }
  expect(depositAddress).toBe(formatElaAddress(depositProgramHash(chainId)))
  await writeFile(join(data, 'genesis.json'), '{}')
  expect((await ioex('wallet deposit-address', data, NOBODY)).code).not.toBe(0)
})

test('withdraw refuses what can never be paid before anything is signed', async () => {
  for (const [address, amount] of [
    [target, '1'],
    [formatElaAddress(depositProgramHash(ledger.chainId)), '1'],
    [`${MAIN_ADDRESS.slice(0, -1)}s`, '1'],
    [MAIN_ADDRESS, '0'],
  ]) {
    const { code, out, err } = await ioex(`wallet withdraw ${address} ${amount}`)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/E or 8|above 0/)
  }
})

test('withdraw to an address that arbiters skip needs --force', async () => {
  for (const address of SKIPPED_ADDRESSES) {
    expect(payableAddress(utf8ToBytes(address)).ok).toBe(true)
    const refused = await ioex(`wallet withdraw ${address} 1 --json`)
    expect([refused.code, refused.out]).toEqual([2, ''])
    const { error } = JSON.parse(refused.err) as { error: { code: string; message: string } }
    expect(error.code).toBe('WITHDRAW_SKIPPED')
    expect(error.message).toMatch(/arrive nowhere.*--force/)
    // On to the wallet, which is not there.
    const forced = await ioex(`wallet withdraw ${address} 1 --json --force`)
    expect(forced.code).not.toBe(0)
    expect(forced.err).toMatch(/WALLET/)
  }
})

test('the peg shows its state and its lists', async () => {
  const { out } = await ioex('peg status')
  expect(out).toMatch(/^state +open$/m)
  expect(out).toMatch(/^reserve +0 IOEX$/m)
  expect((await ioex('peg deposits')).out).toBe('No deposits.\n')
  expect((await ioex('peg withdrawals --epoch 1')).out).toBe('No withdrawals.\n')
  expect((await ioex(`peg deposit ${'ab'.repeat(32)}`)).out).toContain('unknown')
  expect((await ioex('peg vote pause')).code).toBe(2)
})
