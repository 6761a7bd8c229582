import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient } from '@ioex/rpc/client'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { genesisPath, logPath } from '../../cli/src/devnet/devnet-files.ts'
import { readGenesis } from '../../cli/src/nodes/genesis-of.ts'
import { compareChains } from '../chaos/compare-chains.ts'
import { signedTwice, votesSignedIn } from '../chaos/signed-votes.ts'
import { copyValidator, reconfigure, replaceFolder } from '../chaos/validator-folder.ts'
import { statusOf, TestNetwork, until, untilHeight } from './network-harness.ts'

const EPOCH = presets.ci.epochBlocks
/** Skip timeouts to listen for another signer: on a busy machine one is short. */
const WATCH_TIMEOUTS = 4
const DEADLINE_MS = 150_000

let network: TestNetwork
beforeAll(async () => {
  network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
})
afterAll(() => network.destroy())

const folderOf = (name: string) => join(network.options.data, name)
const logOf = (name: string) => readFile(logPath(network.options.data, name), 'utf8')
const heightOf = async (node: ChildNode) => (await statusOf(node)).height
function validators(): [ChildNode, ChildNode, ChildNode, ChildNode] {
  const [a, b, c, d] = network.running.nodesOf('validator')
  if (!a || !b || !c || !d) throw new Error('four validators')
  return [a, b, c, d]
}

async function votesOf(name: string) {
  const { chainId } = await readGenesis(genesisPath(network.options.data))
  return votesSignedIn(folderOf(name), chainId)
}

/** On chain as well as in the logs nobody is accused, and all have the same blocks. */
async function expectOneChain(top: number): Promise<void> {
  const sources = network.running.rpcUrls().map((url, i) => ({
    name: `validator-${i + 1}`,
    client: createRpcClient({ url }),
  }))
  expect((await compareChains(sources, top, () => undefined)).falsehoods).toEqual([])
  for (const { name, client } of sources) {
    const { validators: set } = await client.call('chain_getValidators', {})
    expect(set.filter(({ jailed }) => jailed)).toEqual([])
    expect(await logOf(name)).not.toMatch(/signed twice|FORK_PROOF/)
  }
}

test('an old backup put back signs nothing against what was signed since', async () => {
  const [first, , third, victim] = validators()
  await untilHeight(first, EPOCH)
  await victim.stop()
  await replaceFolder(folderOf(victim.name), folderOf('backup'))
  await victim.start()
  await untilHeight(victim, (await heightOf(first)) + 2 * EPOCH, DEADLINE_MS)
  // With another one down it signs the very last votes of a network that then stands still.
  await third.kill()
  await untilHeight(first, (await heightOf(first)) + 2, DEADLINE_MS)
  await victim.kill()
  const signed = await votesOf(victim.name)
  await replaceFolder(folderOf('backup'), folderOf(victim.name))

  await victim.start()
  await until('it to be an observer', async () =>
    (await logOf(victim.name)).includes('a backup was put back'),
  )
  await third.start()
  const target = (await heightOf(first)) + 4 * EPOCH
  await Promise.all(validators().map((node) => untilHeight(node, target, DEADLINE_MS)))
  // It votes again: without another one its vote is needed.
  await third.kill()
  await untilHeight(first, (await heightOf(first)) + EPOCH, DEADLINE_MS)
  await third.start()
  await victim.stop()
  const since = await votesOf(victim.name)
  expect(since.length).toBeGreaterThan(0)
  expect(signedTwice([...signed, ...since])).toEqual([])
  await victim.start()
  const top = (await heightOf(first)) + 1
  await Promise.all(validators().map((node) => untilHeight(node, top, DEADLINE_MS)))
  await expectOneChain(top)
})

test('of a validator and its copy, started at once, one signs and the other stops', async () => {
  const [first, second, , victim] = validators()
  await victim.stop()
  const signing = { watchTimeouts: WATCH_TIMEOUTS, reserveMiB: 1 }
  await reconfigure(folderOf(victim.name), () => ({ signing }))
  const copy = await copyValidator(network.options.data, victim.name, 'copy')
  // Either may be told to stop before or after it is ready.
  await Promise.allSettled([victim.start(), copy.start()])
  const twins = [victim, copy]
  try {
    const stopped = await until('one of the two to stop', async () =>
      twins.find(({ state }) => state === 'failed'),
    )
    const [left] = twins.filter((node) => node !== stopped)
    if (!left) throw new Error('two of them')
    expect(await logOf(stopped.name)).toContain('DOPPELGANGER')
    // The one that is left votes: without another one its vote is needed.
    await second.kill()
    await untilHeight(first, (await heightOf(first)) + EPOCH, DEADLINE_MS)
    expect(await heightOf(left)).toBeGreaterThan(0)
    await second.start()
  } finally {
    await Promise.all(twins.map((node) => node.kill()))
  }
  const votes = [...(await votesOf(victim.name)), ...(await votesOf('copy'))]
  expect(signedTwice(votes)).toEqual([])
  await victim.start()
  const top = (await heightOf(first)) + 1
  await Promise.all(validators().map((node) => untilHeight(node, top, DEADLINE_MS)))
  await expectOneChain(top)
})
