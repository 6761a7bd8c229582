import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runCommandLine } from '../program.ts'

vi.setConfig({ testTimeout: 60_000 })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-genesis-'))
  await writeFile(join(folder, 'pass.txt'), 'correct horse battery\n')
  await writeFile(join(folder, 'wrong.txt'), 'another passphrase\n')
})
afterAll(() => rm(folder, { recursive: true }))

async function ioex(args: string) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const stdin = Readable.from([])
  const code = await runCommandLine(args.split(' '), { stdout, stderr, stdin, env: {}, folder })
  const read = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: read(stdout), err: read(stderr) }
}

const trial = (args: string) => ioex(`${args} --network ci --json`)
const errorOf = ({ err }: { err: string }) => JSON.parse(err).error as Record<string, string>

test('from keys to a genesis that two operators compute alike', async () => {
  const made = []
  for (const name of ['v1', 'v2']) {
    const init = await trial(`validator init --data ${name} --bond 500 --no-passphrase`)
    expect(init.code, init.err).toBe(0)
    made.push(JSON.parse(init.out) as Record<string, string>)
  }
  const boot = await trial('node init --role bootstrap --data b1 --no-passphrase')
  expect(boot.code, boot.err).toBe(0)
  const time = '--time 2026-11-22T12:00:00Z'
  const entries = [
    '--validator v1/genesis-entry.json --validator v2/genesis-entry.json',
    '--validator v2/genesis-entry.json --validator v1/genesis-entry.json',
  ]
  const files = []
  for (const [i, validators] of entries.entries()) {
    const rest = `--bootstrap b1/genesis-entry.json --allocation ${made[0]?.owner}=12.5 ${time}`
    const created = await trial(`genesis create --preset ci ${validators} ${rest} -o g${i}.json`)
    expect(created.code, created.err).toBe(0)
    files.push(await readFile(join(folder, `g${i}.json`), 'utf8'))
  }
  expect(files[1]).toBe(files[0])
  const shown = JSON.parse((await trial('genesis show g0.json')).out)
  expect(shown).toMatchObject({ network: 'ci', supply: '101250000000', time: expect.anything() })
  expect(shown.validators.map(({ power }: { power: number }) => power)).toEqual([500, 500])
  expect(shown.nodes).toHaveLength(1)
  expect((await ioex('genesis show g0.json')).out).toContain(shown.chainId)

  const other = await trial(
    `genesis create --preset ci ${entries[0]} --time 2026-11-22T12:00:01Z -o g0.json`,
  )
  expect(errorOf(other).code).toBe('GENESIS_EXISTS')
  expect(await readFile(join(folder, 'g0.json'), 'utf8')).toBe(files[0])

  const damaged = JSON.parse(files[0] as string)
  const document = `${damaged.document.slice(0, -2)}00`
  await writeFile(join(folder, 'bad.json'), JSON.stringify({ ...damaged, document }))
  expect((await trial('genesis show bad.json')).code).toBe(1)
})

test('the same keys and the same entry when init runs again', async () => {
  const first = await trial('validator init --data again --no-passphrase')
  const second = await trial('validator init --data again --no-passphrase')
  expect(second.code, second.err).toBe(0)
  expect(second.out).toBe(first.out)
})

test('keys are sealed unless told otherwise', async () => {
  const nobody = await trial('validator init --data sealed')
  expect([nobody.code, errorOf(nobody).code]).toEqual([1, 'PASSPHRASE_MISSING'])
  const made = await trial('validator init --data sealed --passphrase-file pass.txt')
  expect(made.code, made.err).toBe(0)
  for (const file of ['keys/node.key', 'keys/consensus.key', 'keys/main-chain.key']) {
    const path = join(folder, 'sealed', file)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(path, 'utf8')).format).toBe('ioex-sealed/1')
  }
  const wallet = await readFile(join(folder, 'sealed/wallet/wallet.json'), 'utf8')
  expect(JSON.parse(wallet)).toMatchObject({ format: 'ioex-sealed/1', kind: 'wallet' })
  const address = await trial('wallet address --data sealed')
  expect(JSON.parse(address.out).address).toBe(JSON.parse(made.out).owner)
  const words = await trial('wallet export --data sealed --passphrase-file pass.txt')
  expect(JSON.parse(words.out).phrase.split(' ')).toHaveLength(24)
  const wrong = await trial('wallet export --data sealed --passphrase-file wrong.txt')
  expect(errorOf(wrong).code).toBe('PASSPHRASE_WRONG')
})

test('wallets of networks with real money are sealed', async () => {
  const main = (args: string) => ioex(`${args} --network main --json --data main`)
  expect(errorOf(await main('wallet create')).code).toBe('PASSPHRASE_MISSING')
  const made = await main('wallet create --passphrase-file pass.txt')
  expect(JSON.parse(made.out)).toMatchObject({ sealed: true })
  const plain = await ioex('wallet create --network main --json --data plain --no-passphrase')
  expect(JSON.parse(plain.out)).toMatchObject({ sealed: false })
})

test('what is wrong is named', async () => {
  await trial('validator init --data w --no-passphrase')
  await trial('node init --role bootstrap --data wb --no-passphrase')
  const create = (args: string, time = '2026-11-22T12:00:00Z') =>
    trial(`genesis create --preset ci --time ${time} ${args} -o never.json`)
  const entry = '--validator w/genesis-entry.json'
  expect((await create(entry, 'yesterday')).code).toBe(2)
  expect((await create(`${entry} --allocation x=1`)).code).toBe(2)
  expect(errorOf(await create(`${entry} ${entry}`)).code).toBe('GENESIS_TWINS')
  expect(errorOf(await create('--validator wb/genesis-entry.json')).code).toBe('ENTRY_ROLE')
  expect(errorOf(await create('--validator nowhere.json')).code).toBe('ENOENT')
  const local = trial(`genesis create --preset local --time 2026-11-22T12:00:00Z ${entry}`)
  expect(errorOf(await local).code).toBe('ENTRY_NETWORK')
  const main = trial(`genesis create --preset main --time 2026-11-22T12:00:00Z ${entry}`)
  expect(errorOf(await main).message).toContain('--main-checkpoint')
})
