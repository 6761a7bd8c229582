import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import type { DevnetOptions } from '../../cli/src/devnet/devnet-files.ts'
import { LocalNetwork, type StartSettings } from '../../cli/src/devnet/local-network.ts'
import { runCommandLine } from '../../cli/src/program.ts'

const POLL_MS = 100
/** Shared by all networks of the tests: sources are compiled once. */
export const COMPILE_CACHE = join(tmpdir(), 'ioex-e2e-compile-cache')
process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE

/** Waits until the probe gives a value; throws with what it last said when time is up. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const end = Date.now() + deadlineMs
  let last: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value !== undefined && value !== false) return value
      last = value
    } catch (error) {
      last = error
    }
    if (Date.now() > end) throw new Error(`time is up waiting for ${what}; last: ${String(last)}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

export interface ValidatorStatus {
  readonly height: number
  readonly epoch: number
  readonly hash: string
  readonly peers: number
}

export async function statusOf(node: ChildNode): Promise<ValidatorStatus> {
  return (await node.ask('status')) as ValidatorStatus
}

export async function untilHeight(
  node: ChildNode,
  height: number,
  deadlineMs?: number,
): Promise<ValidatorStatus> {
  return until(
    `${node.name} at height ${height}`,
    async () => {
      const status = await statusOf(node)
      return status.height >= height && status
    },
    deadlineMs,
  )
}

type Size = Pick<DevnetOptions, 'validators' | 'bootstraps' | 'peers'>

/** A network in a temporary folder, on free ports; of the ci preset unless told otherwise. */
export class TestNetwork {
  readonly options: DevnetOptions
  readonly #settings: StartSettings
  #network: LocalNetwork | undefined

  private constructor(options: DevnetOptions, settings: StartSettings) {
    this.options = options
    this.#settings = settings
  }

  static async create(
    size: Size & Partial<Pick<DevnetOptions, 'preset' | 'mainConfirms'>>,
    /** A function of it makes the network in its folder before the first start. */
    settings: StartSettings | ((options: DevnetOptions) => Promise<StartSettings>) = {},
  ): Promise<TestNetwork> {
    const data = await mkdtemp(join(tmpdir(), 'ioex-e2e-'))
    const options: DevnetOptions = { data, preset: 'ci', portBase: 0, ...size }
    const prepared = typeof settings === 'function' ? await settings(options) : settings
    const network = new TestNetwork(options, prepared)
    await network.start()
    return network
  }

  get running(): LocalNetwork {
    if (!this.#network) throw new Error('the network is not running')
    return this.#network
  }

  async start(): Promise<void> {
    this.#network = await LocalNetwork.start(this.options, this.#settings)
  }

  /** What a command of `ioex` against the first full node prints as JSON; throws what it says. */
  async command<T>(...args: string[]): Promise<T> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const { data, preset } = this.options
    const [rpc] = this.running.rpcUrls()
    const code = await runCommandLine([...args, '--json'], {
      stdout,
      stderr,
      stdin: Readable.from([]),
      env: { IOEX_RPC: rpc, IOEX_DATA: data, IOEX_NETWORK: preset },
      folder: data,
    })
    if (code !== 0) throw new Error(String(stderr.read() ?? stdout.read()))
    return JSON.parse(String(stdout.read())) as T
  }

  async stop(): Promise<void> {
    await this.#network?.stop()
    this.#network = undefined
  }

  async destroy(): Promise<void> {
    await this.stop()
    await rm(this.options.data, { recursive: true, force: true })
  }
}
