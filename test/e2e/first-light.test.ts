import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installNativeCrypto } from '@ioex/chain/native'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chooseFile } from '../../cli/src/demo/demo-file.ts'
import { type DemoResult, runDemo } from '../../cli/src/demo/run-demo.ts'
import { TestNetwork } from './network-harness.ts'

const quiet = { chapter: () => undefined, progress: () => undefined, done: () => undefined }
const MIB = 2 ** 20

describe('the main job on a network of processes', () => {
  let network: TestNetwork
  let result: DemoResult
  let source: string
  beforeAll(async () => {
    await installNativeCrypto()
    network = await TestNetwork.create({ validators: 4, bootstraps: 2, peers: 8 })
    const folder = join(network.options.data, 'source')
    await mkdir(folder)
    source = join(folder, '假期 照片.bin')
    await writeFile(source, randomBytes(8 * MIB + 12_345))
    result = (await runDemo(network.running, await chooseFile(source), quiet)).result
  }, 240_000)
  afterAll(() => network.destroy())

  test('a file comes back byte for byte after n - k of its peers were killed', () => {
    expect(result.restored).toBe(8 * MIB + 12_345)
    expect(result.killed).toHaveLength(4)
  })

  test('24 words bring it back on another device, with those peers still gone', async () => {
    const { data } = network.options
    const phone = join(data, 'phone')
    await mkdir(phone)
    // What everybody may know of the network: its genesis file and its addresses.
    for (const name of ['genesis.json', 'devnet.json']) {
      await copyFile(join(data, name), join(phone, name))
    }
    const { phrase } = await network.command<{ phrase: string }>('wallet', 'export')
    const words = join(phone, 'words.txt')
    await writeFile(words, phrase)
    const onPhone = ['--data', phone]
    await network.command('wallet', 'import', '--phrase-file', words, ...onPhone)
    const { files } = await network.command<{ files: { path: string }[] }>('ls', ...onPhone)
    const back = join(phone, 'back.bin')
    const [file] = files
    if (!file) throw new Error('the phone sees no file')
    await network.command('get', file.path, '-o', back, ...onPhone)
    expect((await readFile(back)).equals(await readFile(source))).toBe(true)
  }, 120_000)

  test('storage and relay were paid, part of it held', () => {
    expect(result.receipts.storage).toBeGreaterThan(0)
    expect(result.receipts.relay).toBeGreaterThan(0)
    expect(BigInt(result.paid)).toBeGreaterThan(0n)
    expect(BigInt(result.held)).toBeGreaterThan(0n)
  })

  test('what was minted is more than nothing and at most half of what burned', () => {
    expect(BigInt(result.minted)).toBeGreaterThan(0n)
    expect(BigInt(result.minted) * 2n).toBeLessThanOrEqual(BigInt(result.burned))
  })

  test('every dead peer has forfeited', () => {
    expect(result.forfeits).toBeGreaterThanOrEqual(result.killed.length)
  })

  test('the command line takes no node by its word', async () => {
    const balance = await network.command<{ balance: string }>('wallet', 'balance')
    expect(balance).toMatchObject({ proven: true, balance: expect.stringMatching(/^[0-9]+$/) })
    const nodes = await network.command<{ nodes: { address: string; owner: string }[] }>(
      'rpc',
      'nodes_list',
    )
    const peer = nodes.nodes.at(-1)
    if (!peer) throw new Error('the network has nodes')
    const sent = await network.command('wallet', 'send', peer.owner, '0.5')
    expect(sent).toMatchObject({ state: 'final', height: expect.any(Number) })
    const epoch = String(result.epoch)
    const statement = await network.command<{ fees: string }>(
      'rewards',
      peer.address,
      '--epoch',
      epoch,
    )
    expect(statement).toMatchObject({ proven: true, inputs: { closed: true } })
  })

  test('an anchor covers the epoch and the audit agrees with everything', () => {
    expect(result.anchor.epoch).toBeGreaterThanOrEqual(result.epoch)
    expect(result.audit).toBe('ok')
  })
})
