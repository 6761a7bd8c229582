import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 180_000 })

const BIN = fileURLToPath(new URL('../bin/ioex.js', import.meta.url))
const REPOSITORY = new URL('../../', import.meta.url).href

/** Node writes down the address of every module that it loads. */
const RECORDER = `
import { registerHooks } from 'node:module'
import { writeFileSync } from 'node:fs'
const loaded = []
registerHooks({
  load(url, context, next) {
    loaded.push(url)
    return next(url, context)
  },
})
process.on('exit', () => writeFileSync(process.env.LOADED_MODULES, JSON.stringify(loaded)))
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-loading-'))
  await writeFile(join(folder, 'recorder.mjs'), RECORDER)
})
afterAll(() => rm(folder, { recursive: true }))

/** Modules that one command line loads, as paths in the repository; and how it ended. */
async function loadedBy(...args: readonly string[]) {
  const list = join(folder, 'loaded.json')
  const recorder = pathToFileURL(join(folder, 'recorder.mjs')).href
  const { code, err } = await new Promise<{ code: number; err: string }>((resolve) => {
    const env = { ...process.env, IOEX_DATA: join(folder, 'data'), LOADED_MODULES: list }
    const command = ['--import', recorder, BIN, ...args]
    execFile(process.execPath, command, { env }, (error, _out, err) =>
      resolve({ code: error ? Number(error.code) : 0, err }),
    )
  })
  const urls = JSON.parse(await readFile(list, 'utf8')) as string[]
  const modules = urls
    .filter((url) => url.startsWith(REPOSITORY))
    .map((url) => url.slice(REPOSITORY.length))
  return { code, err, modules }
}

const outside = (modules: readonly string[], allowed: RegExp) =>
  modules.filter((module) => !allowed.test(module))

test('help, version and usage errors load the verbs alone', async () => {
  const light = /^cli\/|^node_modules\/(commander|picocolors|bytes-iec|pretty-bytes)\//
  for (const [code, ...args] of [
    [0, '--version'],
    [0, '--help'],
    [0, 'contract', 'open', '--help'],
    [2, 'walet'],
    [2, 'wallet', 'send', 'lioex1'],
    [2, 'contract', 'topup', '0', 'much'],
  ] as const) {
    const loaded = await loadedBy(...args)
    expect(loaded.code, loaded.err).toBe(code)
    expect(loaded.modules).toContain('cli/src/verbs/wallet.ts')
    expect(outside(loaded.modules, light), args.join(' ')).toEqual([])
    // No verb has brought its work along.
    expect(loaded.modules.filter((module) => module.startsWith('cli/src/commands/'))).toEqual([])
  }
})

const HEAVY = /\/(@?libp2p|[a-z]+-level|fastify|@chainsafe\/libp2p[a-z-]*)\//

test('what works without network and disk of a node loads neither', async () => {
  for (const [code, ...args] of [
    [0, 'wallet', 'create'],
    [0, 'wallet', 'address'],
    [1, 'ls'],
    [1, 'rpc', 'chain_getStatus', '--rpc', 'http://127.0.0.1:9'],
    [1, 'wallet', 'balance', '--rpc', 'http://127.0.0.1:9'],
  ] as const) {
    const loaded = await loadedBy(...args)
    expect(loaded.code, loaded.err).toBe(code)
    expect(
      loaded.modules.filter((module) => HEAVY.test(module)),
      args.join(' '),
    ).toEqual([])
  }
  // The pattern is no dead letter: a node's keys are made with its network.
  const init = ['node', 'init', '--role', 'bootstrap', '--network', 'ci', '--no-passphrase']
  const { code, err, modules } = await loadedBy(...init)
  expect(code, err).toBe(0)
  expect(modules.some((module) => HEAVY.test(module))).toBe(true)
})
