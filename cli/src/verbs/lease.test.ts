import { cp, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { fromHex, publicKeyOf } from '@ioex/chain/bytes'
import { LEASE_FILE, lockDirectory, SignerLease } from '@ioex/chain/driver'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runCommandLine } from '../program.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const CHAIN = new Uint8Array(32).fill(9)
let folder: string
let publicKey: Uint8Array

async function ioex(args: string) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const stdin = Readable.from([])
  const all = [...args.split(' '), '--network', 'ci', '--json']
  const code = await runCommandLine(all, { stdout, stderr, stdin, env: {}, folder })
  const read = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: read(stdout), err: read(stderr) }
}
const codeOf = ({ err }: { err: string }) => JSON.parse(err).error.code as string
const leaseIn = (data: string) =>
  SignerLease.read(join(folder, data, 'consensus', 'signer-lease.json'), CHAIN, publicKey)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-lease-'))
  await ioex('validator init --data old --no-passphrase')
  await ioex('validator init --data other --no-passphrase')
  const secret = await readFile(join(folder, 'old', 'keys', 'consensus.key'), 'utf8')
  publicKey = publicKeyOf(fromHex(secret.slice(0, 64)))
  await cp(join(folder, 'old', 'keys'), join(folder, 'new', 'keys'), { recursive: true })
})
afterAll(() => rm(folder, { recursive: true }))

test('a validator moves: the old folder signs no more, the new one only above', async () => {
  expect(codeOf(await ioex('validator lease export l.json --data old'))).toBe('LEASE_MISSING')
  const directory = join(folder, 'old', 'consensus')
  await mkdir(directory)
  const lease = await SignerLease.create(join(directory, LEASE_FILE), CHAIN, publicKey)
  await lease.cover(7, 36)
  const lock = await lockDirectory(directory)
  const running = await ioex('validator lease export l.json --data old')
  expect([running.code, running.err.includes('in use by another process')]).toEqual([1, true])
  await lock.release()
  expect((await leaseIn('old'))?.signAbove(8)).toBe(0)

  const exported = await ioex('validator lease export l.json --data old')
  expect(exported.code, exported.err).toBe(0)
  expect((await stat(join(folder, 'l.json'))).mode & 0o777).toBe(0o600)
  expect((await leaseIn('old'))?.signAbove(1e9)).toBe(Number.MAX_SAFE_INTEGER)
  expect(codeOf(await ioex('validator lease export l.json --data old'))).toBe('KEY_FILE_EXISTS')

  expect(codeOf(await ioex('validator lease import l.json --data other'))).toBe('LEASE_FOREIGN')
  expect(codeOf(await ioex('validator lease import l.json --data none'))).toBe('KEY_FILE_MISSING')
  const imported = await ioex('validator lease import l.json --data new')
  expect(imported.code, imported.err).toBe(0)
  const moved = await leaseIn('new')
  expect([6, 7, 8].map((epoch) => moved?.signAbove(epoch))).toEqual([
    Number.MAX_SAFE_INTEGER,
    100,
    0,
  ])
})
