import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_KEYS_HEX } from '@ioex/chain/elastos'
import { afterEach, expect, test } from 'vitest'
import { readMainArbiters } from './main-arbiters-file.ts'
import { ConfigError, type NodeConfig } from './node-config.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

const config = (part: Partial<NodeConfig>) => part as NodeConfig

async function fileOf(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'arbiters-'))
  folders.push(folder)
  const path = join(folder, 'arbiters.txt')
  await writeFile(path, text)
  return path
}

test('no arbiters are named: no Confirms are asked for', async () => {
  expect(await readMainArbiters(config({ mainChainUrl: 'http://a' }))).toBeUndefined()
})

test('a file has a key in a line, each counted once', async () => {
  const [first = '', ...rest] = LOCAL_ARBITER_KEYS_HEX
  const text = `# arbiters\n${first}  # the first\n\n${rest.join('\n')}\n${first.toUpperCase()}\n`
  const policy = await readMainArbiters(config({ mainArbiters: await fileOf(text) }))
  expect(policy).toEqual({ arbiters: LOCAL_ARBITER_KEYS })
})

test.each(['', '# none\n', 'zz', '02ab', `${LOCAL_ARBITER_KEYS_HEX[0]}00`])(
  'a file with "%s" is refused',
  async (text) => {
    const mainArbiters = await fileOf(text)
    await expect(readMainArbiters(config({ mainArbiters }))).rejects.toThrow(ConfigError)
  },
)

test('a file that is not there is refused', async () => {
  const mainArbiters = '/nowhere/arbiters.txt'
  await expect(readMainArbiters(config({ mainArbiters }))).rejects.toThrow(ConfigError)
})

test('nodes must be two over JSON-RPC, and not one named twice', async () => {
  const of = (mainChainUrl: string, ...mainChainOtherUrls: string[]) =>
    readMainArbiters(config({ mainArbiters: 'nodes', mainChainUrl, mainChainOtherUrls }))
  expect(await of('http://a', 'http://b')).toEqual({ arbiters: 'nodes' })
  expect(await of('elap2p://c', 'http://a', 'https://b')).toEqual({ arbiters: 'nodes' })
  await expect(of('http://a')).rejects.toThrow(/two main nodes/)
  await expect(of('http://a', 'http://a', 'elap2p://c')).rejects.toThrow(/two main nodes/)
})
