import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { resolveSettings } from './settings.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-settings-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('defaults', async () => {
  expect(await resolveSettings({}, {}, folder)).toEqual({
    json: false,
    rpc: 'http://127.0.0.1:22666',
    data: join(folder, '.ioex'),
    network: 'local',
    tokenFile: join(folder, '.ioex', 'rpc-token'),
  })
})

test('flags before variables before the file before the defaults', async () => {
  await mkdir(join(folder, '.ioex'))
  const file = 'rpc: http://file:1\nnetwork: test\njson: true\n'
  await writeFile(join(folder, '.ioex', 'ioex.yaml'), file)
  const fromFile = await resolveSettings({}, {}, folder)
  expect(fromFile).toMatchObject({ rpc: 'http://file:1', network: 'test', json: true })
  const env = { IOEX_RPC: 'http://env:1', IOEX_JSON: '0' }
  const fromEnv = await resolveSettings({}, env, folder)
  expect(fromEnv).toMatchObject({ rpc: 'http://env:1', network: 'test', json: false })
  const fromFlag = await resolveSettings({ rpc: 'http://flag:1' }, env, folder)
  expect(fromFlag).toMatchObject({ rpc: 'http://flag:1', network: 'test' })
})

test("the network of the folder's genesis file", async () => {
  await writeFile(join(folder, 'genesis.json'), '{"format":"ioex-genesis/1","network":"ci"}')
  expect(await resolveSettings({ data: '.' }, {}, folder)).toMatchObject({ network: 'ci' })
  const flag = await resolveSettings({ data: '.', network: 'main' }, {}, folder)
  expect(flag.network).toBe('main')
})

test('mistakes are named, with their place', async () => {
  const path = join(folder, 'own.yaml')
  await expect(resolveSettings({ config: path }, {}, folder)).rejects.toThrow('no config file')
  for (const [text, hint] of [
    ['rcp: http://x:1', 'rcp'],
    ['rpc: ftp://x', 'rpc'],
    ['rpc: [', 'own.yaml'],
    ['rpc: http://a:1\nrpc: http://b:1', 'unique'],
    ['- 1', 'own.yaml'],
  ] as const) {
    await writeFile(path, text)
    await expect(resolveSettings({ config: path }, {}, folder)).rejects.toThrow(hint)
  }
  await expect(resolveSettings({ rpc: 'x' }, {}, folder)).rejects.toMatchObject({ exitCode: 2 })
  await expect(resolveSettings({}, { IOEX_NETWORK: 'moon' }, folder)).rejects.toThrow('IOEX_*')
})
