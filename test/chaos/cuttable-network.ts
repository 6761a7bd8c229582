import { join } from 'node:path'
import { createNetwork } from '../../cli/src/devnet/create-network.ts'
import type { DevnetOptions } from '../../cli/src/devnet/devnet-files.ts'
import { TestNetwork } from '../e2e/network-harness.ts'
import { SUPERVISOR, Switchboard } from './switchboard.ts'
import { reconfigure } from './validator-folder.ts'

/** A network whose validators are machines of their own to each other. */
export interface CuttableNetwork {
  readonly network: TestNetwork
  readonly board: Switchboard
  destroy(): Promise<void>
}

/** Only inside namespaces of its own. */
export async function createCuttable(validators: number): Promise<CuttableNetwork> {
  const board = await Switchboard.open()
  const addresses = new Map<string, string>()
  const size = { validators, bootstraps: 0, peers: 0 }
  try {
    const network = await TestNetwork.create(size, (options) => prepare(options, board, addresses))
    for (const { name, rpcPort } of network.running.record.nodes) {
      const host = addresses.get(name)
      if (rpcPort === undefined || host === undefined) continue
      await board.forward({ host: '127.0.0.1', port: rpcPort }, { host, port: rpcPort })
    }
    const destroy = async () => {
      board.close()
      await network.destroy()
    }
    return { network, board, destroy }
  } catch (error) {
    board.close()
    throw error
  }
}

/** Everybody listens on an address that others reach; the main chain's ports are passed on. */
async function prepare(options: DevnetOptions, board: Switchboard, addresses: Map<string, string>) {
  const { nodes, mainChainPort, mainChainP2pPort } = await createNetwork(options)
  for (const { name } of nodes) addresses.set(name, await board.add(name))
  const ports = new Map(nodes.map(({ name, p2pPort }) => [p2pPort, addresses.get(name)]))
  const reachable = (address: string) =>
    address.replace(/\/ip4\/[^/]+\/tcp\/(\d+)/, (_, port: string) => {
      return `/ip4/${ports.get(Number(port))}/tcp/${port}`
    })
  for (const { name } of nodes) {
    const host = addresses.get(name) as string
    await reconfigure(join(options.data, name), ({ listen, rpc, peers, ...config }) => ({
      listen: listen && { ...listen, host },
      rpc: rpc && { ...rpc, host, isPublic: true },
      peers: peers.map(reachable),
      mainChainUrl: config.mainChainUrl?.replace('127.0.0.1', SUPERVISOR),
      mainChainOtherUrls: config.mainChainOtherUrls?.map((url) =>
        url.replace('127.0.0.1', SUPERVISOR),
      ),
      // Nobody reaches it from outside; checkpoints are anchored by memo.
      arbiter: undefined,
    }))
  }
  for (const port of [mainChainPort, mainChainP2pPort]) {
    if (port === undefined) continue
    await board.forward({ host: SUPERVISOR, port }, { host: '127.0.0.1', port })
  }
  return { launcherOf: (name: string) => board.launcherOf(name) }
}
