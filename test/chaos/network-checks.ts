import { join } from 'node:path'
import { createRpcClient } from '@ioex/rpc/client'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { genesisPath } from '../../cli/src/devnet/devnet-files.ts'
import { readGenesis } from '../../cli/src/nodes/genesis-of.ts'
import { statusOf, type TestNetwork } from '../e2e/network-harness.ts'
import { compareChains } from './compare-chains.ts'
import { signedTwice, votesSignedIn } from './signed-votes.ts'

export const heightOf = async (node: ChildNode) => (await statusOf(node)).height

export function fourOf(network: TestNetwork): [ChildNode, ChildNode, ChildNode, ChildNode] {
  const [a, b, c, d] = network.running.nodesOf('validator')
  if (!a || !b || !c || !d) throw new Error('four validators')
  return [a, b, c, d]
}

/** What differs between the chains of all validators, up to a height that all have. */
export async function differences(network: TestNetwork, top: number): Promise<readonly string[]> {
  const sources = network.running
    .rpcUrls()
    .map((url, i) => ({ name: `validator-${i + 1}`, client: createRpcClient({ url }) }))
  return (await compareChains(sources, top, () => undefined)).falsehoods
}

/** Over all votes in the logs of all validators, which have stopped. */
export async function doubleVotes({ options, running }: TestNetwork): Promise<string[]> {
  const { chainId } = await readGenesis(genesisPath(options.data))
  const folders = running.nodesOf('validator').map(({ name }) => join(options.data, name))
  const votes = await Promise.all(folders.map((folder) => votesSignedIn(folder, chainId)))
  if (votes.flat().length === 0) return ['no log holds a vote']
  return signedTwice(votes.flat())
}
