import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuiltInMainChain, startBuiltInMainChain } from '@ioex/chain/anchor'
import { presets } from '@ioex/genesis/presets'
import { ChildNode } from './child-node.ts'
import { createNetwork } from './create-network.ts'
import {
  DevnetError,
  type DevnetOptions,
  type DevnetRecord,
  logPath,
  mainChainFolder,
  readDevnet,
  rpcUrlsOf,
} from './devnet-files.ts'

/** Tells how the start goes on: nodes ready of all. */
export type StartProgress = (ready: number, total: number, last: string) => void

/** A small young generation: V8's default lets a process that mostly waits keep 50 MB for it. */
const NODE_FLAGS = {
  validator: ['--max-semi-space-size=8'],
  bootstrap: ['--max-semi-space-size=4'],
  peer: ['--max-semi-space-size=4'],
} as const

/** ELA address that the built-in chain's blocks pay: the well-known one that nobody can spend from. */
const BURN_ADDRESS = 'ELANULLXXXXXXXXXXXXXXXXXXXXXYvs3rr'

/**
 * A whole network on this machine: the built-in main chain in this process, every node in a
 * process of its own. Everything lies under one folder and goes on where it stopped.
 */
export class LocalNetwork {
  readonly data: string
  readonly record: DevnetRecord
  readonly nodes: readonly ChildNode[]
  readonly mainChain: BuiltInMainChain
  #stopping: Promise<void> | undefined

  private constructor(data: string, record: DevnetRecord, mainChain: BuiltInMainChain) {
    this.data = data
    this.record = record
    this.mainChain = mainChain
    this.nodes = record.nodes.map(
      ({ name, role, config }) =>
        new ChildNode({
          name,
          config: join(data, config),
          logPath: logPath(data, name),
          cacheFolder: join(data, 'cache'),
          nodeFlags: NODE_FLAGS[role],
        }),
    )
  }

  /** Makes the network if the folder has none, starts it, resolves when all nodes are ready. */
  static async start(
    options: DevnetOptions,
    onProgress: StartProgress = () => {},
  ): Promise<LocalNetwork> {
    await mkdir(join(options.data, 'logs'), { recursive: true })
    const record = (await readDevnet(options.data)) ?? (await createNetwork(options))
    const mainChain = await startMainChain(options.data, record)
    const network = new LocalNetwork(options.data, record, mainChain)
    try {
      await network.#startNodes(onProgress)
    } catch (error) {
      await network.stop()
      throw error
    }
    return network
  }

  node(name: string): ChildNode {
    const node = this.nodes.find((candidate) => candidate.name === name)
    if (!node) throw new DevnetError(`there is no node called ${name} in this network`)
    return node
  }

  nodesOf(role: 'validator' | 'bootstrap' | 'peer'): ChildNode[] {
    return this.nodes.filter(({ name }) => name.startsWith(`${role}-`))
  }

  /** Peers without a listen address. */
  undialable(): ChildNode[] {
    return this.record.nodes
      .filter(({ role, dialable }) => role === 'peer' && !dialable)
      .map(({ name }) => this.node(name))
  }

  /** JSON-RPC URLs of the full nodes, first node first. */
  rpcUrls(): string[] {
    return rpcUrlsOf(this.record)
  }

  /** Stops peers before validators and the main chain last, so that nobody asks in vain. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<void> {
    for (const role of ['peer', 'bootstrap', 'validator'] as const) {
      await Promise.all(this.nodesOf(role).map((node) => node.stop()))
    }
    await this.mainChain.stop()
  }

  /** Validators first: the others need a chain to ask. All of a kind at once. */
  async #startNodes(onProgress: StartProgress): Promise<void> {
    let ready = 0
    const start = async (node: ChildNode) => {
      await node.start()
      onProgress(++ready, this.nodes.length, node.name)
    }
    for (const role of ['validator', 'bootstrap', 'peer'] as const) {
      await Promise.all(this.nodesOf(role).map(start))
    }
  }
}

/** Deletes a local network; does nothing to a folder that is not one. */
export async function resetDevnet(data: string): Promise<void> {
  // Reading it first refuses to delete a folder that is not a network, however it was named.
  const record = await readDevnet(data).catch(() => 'damaged' as const)
  if (record === undefined) return
  await rm(data, { recursive: true, force: true })
}

function startMainChain(data: string, record: DevnetRecord): Promise<BuiltInMainChain> {
  const { allocations, timestamp } = record.mainChainGenesis
  return startBuiltInMainChain({
    dataDir: mainChainFolder(data),
    genesis: {
      allocations: allocations.map(({ address, sela }) => ({ address, sela: BigInt(sela) })),
      timestamp,
    },
    minerAddress: BURN_ADDRESS,
    blockIntervalMs: presets[record.preset].mainBlockMs,
    rpc: { port: record.mainChainPort },
    onProblem: (error) => console.error('main chain:', error),
  })
}
