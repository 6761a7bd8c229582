import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient } from '@ioex/rpc/client'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { statusOf, TestNetwork, untilHeight } from './network-harness.ts'

const EPOCH = presets.ci.epochBlocks
/** With one of four down every fourth view waits for its time to be over. */
const SLOW_MS = 150_000

let network: TestNetwork
beforeAll(async () => {
  network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
})
afterAll(() => network.destroy())

function placeOf(node: ChildNode) {
  const { data } = network.options
  const at = network.running.record.nodes.findIndex(({ name }) => name === node.name)
  const { config } = network.running.record.nodes[at] as { config: string }
  const log = join(data, 'logs', `${node.name}.log`)
  return { folder: dirname(join(data, config)), rpcUrl: network.running.rpcUrls()[at], log }
}

test('a validator whose chain was wiped rejoins by snapshot and votes again', async () => {
  const [first, second, , victim] = network.running.nodesOf('validator')
  if (!first || !second || !victim) throw new Error('four validators')
  const { folder, rpcUrl, log } = placeOf(victim)
  await victim.kill()
  // The signing history stays where it is; everything that can be fetched is gone.
  for (const name of ['chain', 'snapshots']) {
    await rm(join(folder, name), { recursive: true, force: true })
  }
  await untilHeight(first, 4 * EPOCH, SLOW_MS)
  const { height } = await statusOf(first)
  await victim.start()
  // Beyond the checkpoint by an epoch, so that what it shows below is its own work.
  const joined = await untilHeight(victim, height + EPOCH, SLOW_MS)
  expect(await readFile(log, 'utf8')).toContain('the snapshot is the database now')

  // It has no history below the checkpoint, and the same blocks as the others above it.
  const own = createRpcClient({ url: rpcUrl as string })
  const others = createRpcClient({ url: placeOf(first).rpcUrl as string })
  await expect(own.call('chain_getBlock', { height: 1 })).rejects.toMatchObject({})
  const block = { height: joined.height }
  const { hash } = await own.call('chain_getBlock', block)
  expect(hash).toBe((await others.call('chain_getBlock', block)).hash)

  // With another one dead, three of four are left: finality needs its vote.
  await second.kill()
  const before = await statusOf(first)
  await untilHeight(first, before.height + EPOCH, SLOW_MS)

  // Its folder is a whole database: started again it goes on from there, and votes.
  await victim.kill()
  await victim.start()
  const { height: target } = await statusOf(first)
  await untilHeight(victim, target + EPOCH, SLOW_MS)
})
