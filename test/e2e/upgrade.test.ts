import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { logPath } from '../../cli/src/devnet/devnet-files.ts'
import type { NodeConfig } from '../../cli/src/nodes/node-config.ts'
import { ioex } from './ioex-process.ts'
import { statusOf, TestNetwork, until, untilHeight } from './network-harness.ts'

const EPOCH = presets.ci.epochBlocks
const NEW_FLOOR = 7n

/** The upgrade of a running network as operators do it: halt, new release, one who forgets. */
describe('a new protocol version', () => {
  let network: TestNetwork
  let haltEpoch: number
  beforeAll(async () => {
    network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
  })
  afterAll(() => network.destroy())

  const validators = () => network.running.nodesOf('validator')
  const client = (i: number) =>
    createRpcClient({ url: network.running.rpcUrls()[i] as string, timeoutMs: 5000 })
  const blockAt = (i: number, height: number) => client(i).call('chain_getBlock', { height })

  /** Gives validator `number` (from 1) other settings for its next start. */
  async function configure(number: number, change: Partial<NodeConfig>): Promise<void> {
    const path = join(network.options.data, `validator-${number}`, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as NodeConfig
    await writeFile(path, JSON.stringify({ ...config, haltEpoch: undefined, ...change }))
  }

  test('every validator finalises the last block of the halt epoch and ends with code 0', async () => {
    const { epoch } = await untilHeight(validators()[0] as never, 1)
    haltEpoch = epoch + 2
    await network.stop()
    for (const number of [1, 2, 3, 4]) await configure(number, { haltEpoch })
    await network.start()
    const nodes = validators()
    await until('all to halt', async () => nodes.every(({ state }) => state !== 'ready'))
    // Exit code 0 is "stopped", any other one is "failed".
    expect(nodes.map(({ state }) => state)).toEqual(Array(4).fill('stopped'))
    await network.stop()
  })

  test('with a release that knows the version all go on; the others stop at its epoch', async () => {
    const forkEpoch = haltEpoch + 2
    const forks = join(network.options.data, 'forks.json')
    const changes = { baseFeePerByte: NEW_FLOOR.toString() }
    const file = {
      format: 'ioex-forks/1',
      forks: [{ epoch: forkEpoch, protocolVersion: 2, changes }],
    }
    await writeFile(forks, JSON.stringify(file))
    for (const number of [1, 2, 3]) await configure(number, { forks })
    await configure(4, {})
    await network.start()
    const forgetful = validators()[3]
    // Nothing was finalised beyond the halt, by anyone.
    const first = (forkEpoch - 1) * EPOCH + 1
    await Promise.all(
      [0, 1, 2].map((i) => untilHeight(validators()[i] as never, first + EPOCH + 2)),
    )
    const at = await Promise.all([0, 1, 2].map((i) => blockAt(i, first)))
    expect(new Set(at.map(({ hash }) => hash)).size).toBe(1)
    const versions = [first - 1, first, first + EPOCH].map(
      async (height) => (await blockAt(0, height)).header.version,
    )
    expect(await Promise.all(versions)).toEqual([1, 2, 2])
    const { protocolVersion, baseFeePerByte } = await client(0).call('chain_getParams', {})
    expect([protocolVersion, baseFeePerByte]).toEqual([2, NEW_FLOOR.toString()])
    // The rules read the new parameter: no block is cheaper than its floor.
    const { baseFee } = await client(0).call('chain_getStatus', {})
    expect(BigInt(baseFee as string)).toBeGreaterThanOrEqual(NEW_FLOOR)

    await until('the forgetful one to stop', async () => forgetful?.state === 'failed')
    const log = await readFile(logPath(network.options.data, 'validator-4'), 'utf8')
    expect(log).toContain('VERSION_UNKNOWN: the network runs protocol version 2')
    expect(log).toContain('install a release that knows it')
  })

  test('installed late, the release lets it follow', async () => {
    await configure(4, { forks: join(network.options.data, 'forks.json') })
    const { height } = await statusOf(validators()[0] as never)
    await validators()[3]?.start()
    await untilHeight(validators()[3] as never, height + 3)
  })

  test('an auditor who knows the version replays the whole chain; one who does not, stops at it', async () => {
    const { data } = network.options
    const audit = (...more: string[]) =>
      ioex(['audit', '--data', data, '--rpc', network.running.rpcUrls()[0] as string, ...more])
    const right = await audit('--forks', join(data, 'forks.json'))
    expect(right.code, right.err).toBe(0)
    const wrong = await audit('--json')
    expect([wrong.code, wrong.err.includes('protocol version')]).toEqual([1, true])
  })
})
