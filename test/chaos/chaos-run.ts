import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createRpcClient } from '@ioex/rpc/client'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { statusOf, TestNetwork, until } from '../e2e/network-harness.ts'
import { Random } from '../sim/random.ts'
import { compareChains } from './compare-chains.ts'
import { createCuttable } from './cuttable-network.ts'
import { doubleVotes } from './network-checks.ts'
import { rotOneByte, withoutChain } from './rotten-folder.ts'
import type { Switchboard } from './switchboard.ts'

export interface ChaosOptions {
  readonly validators: number
  /** How long nodes are hurt, ms. */
  readonly durationMs: number
  /** Time between two blows, ms. */
  readonly everyMs: number
  /** Validators hurt at a time; at most f = floor((n - 1) / 3), or nothing would go on. */
  readonly hurt: number
  readonly seed: number
  /** What happens to nodes; default everything that can happen here. */
  readonly blows?: readonly Blow[] | undefined
  /** Nodes are cut off from each other too; only inside namespaces of their own. */
  readonly cuts?: boolean | undefined
  readonly log: (line: string) => void
}

export interface ChaosReport {
  readonly kills: number
  readonly pauses: number
  /** Nodes cut off from all others for a while. */
  readonly cuts: number
  /** Bytes flipped in a stopped node's files, and how many starts refused for it. */
  readonly flips: number
  readonly refused: number
  readonly blocks: number
  /** Longest time without a new block while nodes were hurt, ms. */
  readonly longestStandstillMs: number
  /** Most ended epochs without an anchor that a node raised the alarm for; 0 without alarm. */
  readonly worstAnchorLag: number
  readonly falsehoods: readonly string[]
}

export const BLOWS = ['kill', 'pause', 'flip', 'cut'] as const
export type Blow = (typeof BLOWS)[number]

/** How often each comes: bytes rot more rarely than processes die. */
const FREQUENCY: Readonly<Record<Blow, number>> = { kill: 4, pause: 2, flip: 1, cut: 2 }
/** Blocks that every node must add once nothing is hurt any more. */
const LIVE_BLOCKS = 10
const WATCH_MS = 250
/** One that syncs afresh takes longer than one that goes on. */
const SETTLE_MS = 180_000

/**
 * Real validator processes, hurt at random by kill -9, SIGSTOP, cut links and flipped bytes in
 * their files, never more than the protocol bears: finality goes on, nothing final is lost, nobody
 * signs twice. Ends its processes.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { validators, cuts } = options
  if (cuts) {
    const { network, board, destroy } = await createCuttable(validators)
    try {
      return await new Chaos(options, network, board).run()
    } finally {
      await destroy()
    }
  }
  const network = await TestNetwork.create({ validators, bootstraps: 0, peers: 0 })
  try {
    return await new Chaos(options, network, undefined).run()
  } finally {
    await network.destroy()
  }
}

class Chaos {
  readonly #options: ChaosOptions
  readonly #network: TestNetwork
  readonly #board: Switchboard | undefined
  readonly #random: Random
  readonly #blows: readonly Blow[]
  readonly #falsehoods: string[] = []
  /** What each node once said was final: it may never fall behind it. */
  readonly #reached = new Map<string, number>()
  /** Name of the node that a hurt one is, so that nobody asks it. */
  readonly #down = new Set<string>()
  #kills = 0
  #pauses = 0
  #cuts = 0
  #flips = 0
  #refused = 0
  #best = { height: 0, atMs: Date.now() }
  #longestStandstillMs = 0
  #worstAnchorLag = 0

  constructor(options: ChaosOptions, network: TestNetwork, board: Switchboard | undefined) {
    this.#options = options
    this.#network = network
    this.#board = board
    this.#random = new Random(options.seed)
    this.#blows = (options.blows ?? BLOWS)
      .filter((blow) => board || blow !== 'cut')
      .flatMap((blow) => Array.from({ length: FREQUENCY[blow] }, () => blow))
  }

  async run(): Promise<ChaosReport> {
    const { durationMs, everyMs, log } = this.#options
    const end = Date.now() + durationMs
    const watching = new AbortController()
    const watch = this.#watch(watching.signal)
    try {
      while (Date.now() < end) {
        const next = Date.now() + everyMs
        await this.#hurtSome(Math.min(everyMs / 2, 5_000))
        log(
          `height ${this.#best.height}, ${this.#kills} kills, ${this.#pauses} pauses, ` +
            `${this.#cuts} cuts, ${this.#flips} flipped bytes`,
        )
        await setTimeout(Math.max(0, next - Date.now()))
      }
    } finally {
      watching.abort()
      await watch
    }
    const blocks = await this.#settle()
    await this.#compareChains(blocks)
    await this.#searchLogs()
    await Promise.all(this.#nodes().map((node) => node.stop()))
    this.#falsehoods.push(...(await doubleVotes(this.#network)))
    return {
      kills: this.#kills,
      pauses: this.#pauses,
      cuts: this.#cuts,
      flips: this.#flips,
      refused: this.#refused,
      blocks,
      longestStandstillMs: this.#longestStandstillMs,
      worstAnchorLag: this.#worstAnchorLag,
      falsehoods: this.#falsehoods,
    }
  }

  #nodes(): readonly ChildNode[] {
    return this.#network.running.nodesOf('validator')
  }

  /** Each victim is killed or paused, stays so for a while, and comes back. */
  async #hurtSome(downMs: number): Promise<void> {
    const left = [...this.#nodes()]
    const victims = Array.from({ length: this.#options.hurt }, () => {
      const [victim] = left.splice(this.#random.between(0, left.length - 1), 1)
      if (!victim) throw new Error('fewer validators than victims')
      return victim
    })
    await Promise.all(
      victims.map(async (victim) => {
        const restMs = this.#random.between(0, downMs)
        const blow = this.#random.pick(this.#blows)
        this.#down.add(victim.name)
        if (blow === 'pause') await this.#paused(victim, restMs)
        else if (blow === 'cut') await this.#cutOff(victim, restMs)
        else await this.#killed(victim, restMs, blow === 'flip')
        this.#down.delete(victim.name)
      }),
    )
  }

  async #killed(victim: ChildNode, restMs: number, rots: boolean): Promise<void> {
    this.#kills += 1
    await victim.kill()
    await setTimeout(restMs)
    if (rots) return this.#rotten(victim)
    await victim.start()
    const { height } = await statusOf(victim)
    const before = this.#reached.get(victim.name) ?? 0
    if (height < before) {
      this.#falsehoods.push(`${victim.name} lost final blocks: ${before} before, ${height} after`)
    }
  }

  /** Started with one byte flipped it goes on or says what to do, which is then done. */
  async #rotten(victim: ChildNode): Promise<void> {
    const { data } = this.#network.options
    const at = this.#network.running.record.nodes.findIndex(({ name }) => name === victim.name)
    const { config } = this.#network.running.record.nodes[at] as { config: string }
    const folder = dirname(join(data, config))
    const flipped = await rotOneByte(folder, this.#random)
    this.#flips += 1
    // A flipped bit at the end of the database's log looks like a torn write: the newest block goes.
    this.#reached.delete(victim.name)
    try {
      await victim.start()
      return
    } catch (error) {
      this.#refused += 1
      this.#options.log(`${victim.name} with ${flipped.place} flipped: ${String(error)}`)
    }
    // What only this node knows comes from its backup; what peers know comes from them.
    if (flipped.isOwn) await flipped.restore()
    else await withoutChain(folder)
    await victim.start()
  }

  async #paused(victim: ChildNode, restMs: number): Promise<void> {
    this.#pauses += 1
    const { pid } = victim
    if (pid === undefined) throw new Error(`${victim.name} does not run`)
    process.kill(pid, 'SIGSTOP')
    await setTimeout(restMs)
    process.kill(pid, 'SIGCONT')
  }

  /** Each to a side of its own: two that are cut off at a time do not meet there. */
  async #cutOff(victim: ChildNode, restMs: number): Promise<void> {
    this.#cuts += 1
    await this.#board?.move(victim.name, this.#nodes().indexOf(victim) + 1)
    await setTimeout(restMs)
    await this.#board?.move(victim.name, 0)
  }

  /** Notes what healthy nodes say is final. */
  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const node of this.#nodes()) {
        if (this.#down.has(node.name)) continue
        const status = await statusOf(node).catch(() => undefined)
        // It may have been hurt while it answered.
        if (status) this.#note(node.name, status.height)
      }
      await setTimeout(WATCH_MS)
    }
  }

  #note(name: string, height: number): void {
    this.#reached.set(name, Math.max(height, this.#reached.get(name) ?? 0))
    const now = Date.now()
    this.#longestStandstillMs = Math.max(this.#longestStandstillMs, now - this.#best.atMs)
    if (height > this.#best.height) this.#best = { height, atMs: now }
  }

  /** With nothing hurt, everybody gets further than the best was; returns a height all have. */
  async #settle(): Promise<number> {
    const goal = this.#best.height + LIVE_BLOCKS
    const { log } = this.#options
    await Promise.all(
      this.#nodes().map(async (node) => {
        const reached = async () => (await statusOf(node)).height >= goal
        await until(`${node.name} at height ${goal}`, reached, SETTLE_MS)
      }),
    )
    log(`all at height ${goal}`)
    return goal
  }

  async #compareChains(top: number): Promise<void> {
    const { running } = this.#network
    const names = running.record.nodes.map(({ name }) => name)
    const sources = running.rpcUrls().map((url, i) => ({
      name: names[i] ?? url,
      client: createRpcClient({ url, timeoutMs: 60_000 }),
    }))
    const { falsehoods } = await compareChains(sources, top, this.#options.log)
    this.#falsehoods.push(...falsehoods)
  }

  /** Every vote reaches every validator, and each of them compares: a double vote is in a log. */
  async #searchLogs(): Promise<void> {
    const { data } = this.#network.options
    for (const { name } of this.#nodes()) {
      const log = await readFile(join(data, 'logs', `${name}.log`), 'utf8')
      const lines = log.split('\n')
      for (const line of lines.filter((each) => each.includes('no way to the main chain'))) {
        const [, lag = '0'] = /"lag":(\d+)/.exec(line) ?? []
        this.#worstAnchorLag = Math.max(this.#worstAnchorLag, Number(lag))
      }
      const bad = lines.find((line) =>
        /signed twice|consensus halted|FORK_PROOF|DOPPELGANGER/.test(line),
      )
      if (bad) this.#falsehoods.push(`log of ${name}: ${bad}`)
    }
  }
}
