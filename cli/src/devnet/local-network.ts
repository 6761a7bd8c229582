import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LocalArbiter, SideNodeClient } from '@ioex/chain/arbiter'
import { asInternalHash } from '@ioex/chain/elastos'
import { createMainChainClient } from '@ioex/chain/follower'
import {
  type BuiltInMainChain,
  type FolderLock,
  startBuiltInMainChain,
} from '@ioex/chain/main-chain'
import { presets } from '@ioex/genesis/presets'
import { readGenesis } from '../nodes/genesis-of.ts'
import { ChildNode } from './child-node.ts'
import { claimFolder, freePortsOf } from './claim-folder.ts'
import { createNetwork } from './create-network.ts'
import {
  DevnetError,
  type DevnetOptions,
  type DevnetRecord,
  genesisPath,
  logPath,
  mainChainFolder,
  readDevnet,
  rpcUrlsOf,
} from './devnet-files.ts'
import { resetDevnet } from './reset-devnet.ts'

/** Tells how the start goes on: nodes ready of all. */
export type StartProgress = (ready: number, total: number, last: string) => void

export interface StartSettings {
  readonly onProgress?: StartProgress
  /** A node ended by itself after the start. */
  readonly onLost?: (name: string, log: string) => void
  /** Calls a start under way off: what runs is stopped, then the start rejects. */
  readonly signal?: AbortSignal
  /** Deletes the network that the folder holds first. */
  readonly reset?: boolean
  /** Time between main blocks; 0: on demand only. The preset's unless told otherwise. */
  readonly mainBlockMs?: number
  /** The launcher of a node, where it has one. */
  readonly launcherOf?: (name: string) => readonly string[]
}

/** A small young generation: V8's default lets a process that mostly waits keep 50 MB for it. */
const NODE_FLAGS = {
  validator: ['--max-semi-space-size=8'],
  bootstrap: ['--max-semi-space-size=4'],
  peer: ['--max-semi-space-size=4'],
} as const

/** ELA address that the built-in chain's blocks pay: the well-known one that nobody can spend from. */
export const BURN_ADDRESS = 'ELANULLXXXXXXXXXXXXXXXXXXXXXYvs3rr'

/** Main blocks of the ci network come so fast that arbiters need not see each of them. */
const ARBITER_POLL_MS_MIN = 500

/**
 * A whole network on this machine: the built-in main chain in this process, every node in a
 * process of its own. Everything lies under one folder and goes on where it stopped.
 */
export class LocalNetwork {
  readonly data: string
  readonly record: DevnetRecord
  readonly nodes: readonly ChildNode[]
  readonly mainChain: BuiltInMainChain
  readonly #lock: FolderLock
  #arbiter: LocalArbiter | undefined
  #stopping: Promise<void> | undefined

  private constructor(
    data: string,
    record: DevnetRecord,
    mainChain: BuiltInMainChain,
    lock: FolderLock,
    { onLost, launcherOf }: StartSettings,
  ) {
    this.data = data
    this.record = record
    this.mainChain = mainChain
    this.#lock = lock
    this.nodes = record.nodes.map(
      ({ name, role, config }) =>
        new ChildNode({
          name,
          config: join(data, config),
          logPath: logPath(data, name),
          cacheFolder: join(data, 'cache'),
          nodeFlags: NODE_FLAGS[role],
          launcher: launcherOf?.(name),
          onLost: () => onLost?.(name, logPath(data, name)),
        }),
    )
  }

  /** Makes the network if the folder has none, starts it, resolves when all nodes are ready. */
  static async start(options: DevnetOptions, settings: StartSettings = {}): Promise<LocalNetwork> {
    const { data } = options
    const { lock, wasKilled } = await claimFolder(data)
    let network: LocalNetwork
    try {
      if (settings.reset) await resetDevnet(data)
      const record = (await readDevnet(data)) ?? (await createNetwork(options))
      await mkdir(join(data, 'logs'), { recursive: true })
      // Read here too: one clear refusal instead of one from every node.
      await readGenesis(genesisPath(data))
      await freePortsOf(record, wasKilled)
      const mainChain = await startMainChain(data, record, settings.mainBlockMs)
      network = new LocalNetwork(data, record, mainChain, lock, settings)
    } catch (error) {
      await lock.release()
      throw error
    }
    await network.#startNodes(settings)
    await network.#startArbiter()
    return network
  }

  node(name: string): ChildNode {
    const node = this.nodes.find((candidate) => candidate.name === name)
    if (!node)
      throw new DevnetError('NODE_UNKNOWN', `there is no node called ${name} in this network`)
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

  /** The arbiters of the built-in main chain: they anchor, pay and refund from here on. */
  async #startArbiter(): Promise<void> {
    const { data, mainChain, record } = this
    if (record.arbiterPort === undefined) return
    const { chainId } = await readGenesis(genesisPath(data))
    const log = logPath(data, 'arbiter')
    const arbiter = new LocalArbiter({
      main: createMainChainClient({ url: mainChain.rpcUrl }),
      side: new SideNodeClient({ url: `http://127.0.0.1:${record.arbiterPort}/` }),
      genesisHash: asInternalHash(chainId),
      pollMs: Math.max(ARBITER_POLL_MS_MIN, presets[record.preset].mainBlockMs / 2),
      // A node that is restarted is not there for a while: the next round asks again.
      onProblem: (error) => void appendFile(log, `${reasonOf(error)}\n`).catch(() => undefined),
    })
    this.#arbiter = arbiter
    arbiter.start()
  }

  async #stopAll(): Promise<void> {
    await this.#arbiter?.stop()
    for (const role of ['peer', 'bootstrap', 'validator'] as const) {
      await Promise.all(this.nodesOf(role).map((node) => node.stop()))
    }
    await this.mainChain.stop()
    await this.#lock.release()
  }

  /**
   * Validators first: the others need a chain to ask. All of a kind at once. If one fails or the
   * start is called off, none is left running.
   */
  async #startNodes({ onProgress, signal }: StartSettings): Promise<void> {
    let ready = 0
    const start = async (node: ChildNode) => {
      await node.start()
      onProgress?.(++ready, this.nodes.length, node.name)
    }
    const abort = () => void this.stop()
    signal?.addEventListener('abort', abort)
    try {
      for (const role of ['validator', 'bootstrap', 'peer'] as const) {
        signal?.throwIfAborted()
        await Promise.all(this.nodesOf(role).map(start))
      }
      signal?.throwIfAborted()
    } catch (error) {
      await this.stop()
      // Nodes that were stopped reject too; why they were stopped says more.
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }
}

function startMainChain(
  data: string,
  record: DevnetRecord,
  blockIntervalMs = presets[record.preset].mainBlockMs,
): Promise<BuiltInMainChain> {
  const { allocations, timestamp } = record.mainChainGenesis
  return startBuiltInMainChain({
    dataDir: mainChainFolder(data),
    genesis: {
      allocations: allocations.map(({ address, sela }) => ({ address, sela: BigInt(sela) })),
      timestamp,
    },
    minerAddress: BURN_ADDRESS,
    blockIntervalMs,
    rpc: { port: record.mainChainPort },
    ...(record.mainChainP2pPort !== undefined && { p2p: { port: record.mainChainP2pPort } }),
    onProblem: (error) => console.error(`main chain: ${reasonOf(error)}`),
  })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
