import { join, resolve } from 'node:path'
import { runInNewContext } from 'node:vm'
import { presets } from '@ioex/genesis/presets'
import { build } from 'vite'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type RpcServer, startRpcServer } from '../server/rpc-server.ts'
import { addresses, createLedgerStory, INVENTORY_ROOT } from '../server/testing/ledger-story.ts'
import type * as Client from '@ioex/rpc/client'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const root = resolve(import.meta.dirname, '../../..')

/** What every browser has of what the client uses; nothing that only Node has. */
const webGlobals = {
  AbortController,
  MessageChannel,
  TextDecoder,
  TextEncoder,
  URL,
  WebAssembly: (globalThis as { WebAssembly?: unknown }).WebAssembly,
  clearTimeout,
  console,
  crypto: globalThis.crypto,
  fetch,
  performance,
  queueMicrotask,
  setTimeout,
}

interface Chunk {
  readonly code: string
  readonly imports: readonly string[]
  readonly dynamicImports: readonly string[]
  readonly moduleIds: readonly string[]
}
let chunks: readonly Chunk[]
const ledger = createLedgerStory(presets.ci)
let server: RpcServer

beforeAll(async () => {
  server = await startRpcServer({ ledger, port: 0 })
  const entry = join(root, 'rpc/src/client/index.ts')
  const outputs = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    build: {
      lib: { entry, name: 'light', formats: ['iife'], fileName: 'light' },
      write: false,
      minify: true,
    },
  })
  chunks = (outputs as unknown as { output: Chunk[] }[]).flatMap(({ output }) => output)
})
afterAll(() => server.close())

test('is one file without anything of Node', () => {
  const [bundle, ...others] = chunks
  if (!bundle) throw new Error('nothing was bundled')
  expect(others).toEqual([])
  expect([...bundle.imports, ...bundle.dynamicImports]).toEqual([])
  // Where a module of Node is asked for, vite puts an empty one of this name.
  const foreign = bundle.moduleIds.filter((id) => /^node:|browser-external|\.node$/.test(id))
  expect(foreign).toEqual([])
  const asked = bundle.code.match(/["'`]node:[a-z/]+|\brequire\([^)]*\)/g)
  expect(asked).toBeNull()
})

test('runs with what a browser has, and checks a chain', async () => {
  const [bundle] = chunks
  const code = `${bundle?.code}; light`
  const light = runInNewContext(code, webGlobals) as typeof Client
  const genesis = ledger.block(0)
  const start = genesis && light.trustCheckpoint(genesis, ledger.validatorSet())
  if (!start?.ok) throw new Error('the story has a genesis')
  const client = new light.LightChainClient({
    endpoints: [server.url],
    allowSingleEndpoint: true,
    params: presets.ci,
    start: start.value,
  })
  try {
    expect((await client.start()).height).toBe(ledger.status().height)
    expect((await client.account(addresses.payer))?.balance).toBe(1_000_000n)
    expect(await client.account(new Uint8Array(20))).toBeUndefined()
    expect((await client.railsOfNode(1)).map(({ index }) => index)).toEqual([0])
    expect(await client.inventory(1, INVENTORY_ROOT)).toHaveLength(1)
  } finally {
    await client.close()
  }
})
