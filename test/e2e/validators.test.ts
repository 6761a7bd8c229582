import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient } from '@ioex/rpc/client'
import { logPath } from '../../cli/src/devnet/devnet-files.ts'
import { copyValidator } from '../chaos/validator-folder.ts'
import { statusOf, TestNetwork, until, untilHeight } from './network-harness.ts'

const EPOCH = presets.ci.epochBlocks

describe('four validator processes and a main chain', () => {
  let network: TestNetwork
  beforeAll(async () => {
    network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
  })
  afterAll(() => network.destroy())

  const validators = () => network.running.nodesOf('validator')

  test('finalise the same blocks over an epoch boundary', async () => {
    await Promise.all(validators().map((node) => untilHeight(node, EPOCH + 2)))
    const clients = network.running.rpcUrls().map((url) => createRpcClient({ url }))
    const blocks = await Promise.all(
      clients.map((client) => client.call('chain_getBlock', { height: EPOCH + 1 })),
    )
    expect(new Set(blocks.map(({ hash }) => hash)).size).toBe(1)
  })

  test('go on when one is killed; killed with -9 it comes back and catches up', async () => {
    const [first, , , victim] = validators()
    if (!first || !victim) throw new Error('four validators')
    await victim.kill()
    const { height } = await statusOf(first)
    await untilHeight(first, height + 2 * EPOCH)
    await victim.start()
    const target = (await statusOf(first)).height
    await untilHeight(victim, target)
    // It votes again: with another one dead, finality needs its vote.
    await validators()[1]?.kill()
    const before = await statusOf(first)
    await untilHeight(first, before.height + EPOCH)
  })

  test('anchor their checkpoints on the main chain', async () => {
    const [url] = network.running.rpcUrls()
    const client = createRpcClient({ url: url as string })
    const status = await until('an anchor', async () => {
      const answer = await client.call('anchor_getStatus', {})
      return answer.epoch !== null && answer
    })
    // A memo or the Arbiters' SideChainPow, whichever the main chain took first.
    expect(['memo', 'sideChainPow']).toContain(status.method)
    expect(status.confirmations).toBeGreaterThan(0)
  })

  test('stop where a copy of them runs already', async () => {
    const [, , original] = validators()
    const { data } = network.options
    await original?.kill()
    const copy = await copyValidator(data, original?.name as string, 'copy')
    await original?.start()
    try {
      // It may end before or after it is ready.
      await copy.start().catch(() => undefined)
      await until('the copy to stop', async () => copy.state === 'failed')
      expect(await readFile(logPath(data, 'copy'), 'utf8')).toContain('DOPPELGANGER')
      expect(original?.state).toBe('ready')
    } finally {
      await copy.kill()
    }
  })

  test('stop and start again where they were', async () => {
    const before = await statusOf(validators()[0] as never)
    await network.stop()
    await network.start()
    const after = await statusOf(validators()[0] as never)
    expect(after.height).toBeGreaterThanOrEqual(before.height)
    await untilHeight(validators()[0] as never, after.height + EPOCH)
  })
})
