import { bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import type {
  ConsensusEvent,
  ConsensusMessage,
  ConsensusTiming,
  FinalBlock,
} from '../../chain/src/consensus/machine-interface.ts'
import type { RelayEffect } from '../../chain/src/consensus/epoch-relay.ts'
import { decodeMessage, EMPTY_BODY, encodeMessage } from '../../chain/src/driver/message-codec.ts'
import { HistoryHash, hashHeader } from './cheap-crypto.ts'
import { Checker } from './checker.ts'
import { Violation } from './violation.ts'
import { EventHeap } from './event-heap.ts'
import { checkGuilt, forkHeight } from './fork-guilt.ts'
import { Instance } from './instance.ts'
import { Liar } from './liar.ts'
import { SimulatedNetwork } from './network.ts'
import { Random } from './random.ts'
import { rareScenario } from './rare-scenario.ts'
import { drawScenario, type Scenario, setOf } from './scenario.ts'
import { genesisHeader } from './simulated-blocks.ts'
import { VoteJudge } from './vote-judge.ts'

/**
 * Blocks that every honest node must commit once the network is calm, and how soon: skip timeouts
 * have grown to a quarter of a minute by then, and two of them may have to pass.
 */
const LIVE_BLOCKS = 5
const LIVE_WITHIN_MS = 60_000
/** The same where messages take longer than the first skip timeouts: those have to grow. */
const SLOW_BLOCKS = 2
const SLOW_WITHIN_MS = 180_000
/** So long after they were cut off from each other two final chains meet. */
const MEETING_MS = 12_000
/** Beside the seed of all else, so that what it drew before stays as it was. */
const RARE_SEED = 0x2a00_0000
const EPOCH_START_MS = 1_700_000_000_000
/** Beside the seed of all else. */
const OPINIONS_SEED = 0x0b1_0000

const TIMING: ConsensusTiming = {
  blockIntervalMs: 1_000,
  skipTimeoutMs: 2_000,
  skipTimeoutGrowthPercent: 150,
  skipTimeoutCapMs: 60_000,
  rebroadcastMs: 1_000,
  clockAheadMs: 1_000,
  clockBehindMs: 10_000,
}

export interface Outcome {
  readonly seed: number
  /** Equal for equal histories. */
  readonly history: string
  readonly height: number
  readonly events: number
  readonly virtualMs: number
  /** Virtual time from calm to the last honest node's LIVE_BLOCKS-th block. */
  readonly recoveryMs: number
  /** Pairs of honest nodes on different chains; only where too many are faulty. */
  readonly forks: number
  /** Honest nodes that were shown a second final block, and stopped. */
  readonly halts: number
  readonly violation: string | undefined
}

export interface WorldOptions {
  readonly trace?: ((line: string) => void) | undefined
  /** Stands in for the one that the seed would draw. */
  readonly scenario?: Scenario
  /** Draws more faulty weight than the protocol bears. */
  readonly tooManyFaulty?: boolean
}

/** One run: a network of nodes, faults drawn from the seed, and a checker outside of them. */
export class World {
  readonly random: Random
  /** Draws what came later: histories in which none of it happens stay as they were. */
  readonly rare: Random
  readonly scenario: Scenario
  readonly timing: ConsensusTiming
  readonly heap = new EventHeap()
  readonly network: SimulatedNetwork
  readonly checker: Checker
  readonly judge: VoteJudge
  readonly genesis: FinalBlock
  readonly instances: Instance[] = []
  /** Validators that are neither twins nor liars. */
  readonly honest: ReadonlySet<number>
  readonly history = new HistoryHash()
  /** Decides what nodes object to. */
  readonly opinions: Random
  readonly #trace: ((line: string) => void) | undefined

  constructor(seed: number, { trace, scenario, tooManyFaulty = false }: WorldOptions = {}) {
    this.random = new Random(seed)
    this.rare = new Random(seed + RARE_SEED)
    this.opinions = new Random(seed + OPINIONS_SEED)
    this.#trace = trace
    this.heap.now = EPOCH_START_MS
    const rare = tooManyFaulty ? undefined : rareScenario(seed)
    const drawn = scenario ?? rare ?? drawScenario(this.random, seed, tooManyFaulty)
    this.timing = { ...TIMING, ...drawn.timing }
    this.scenario = {
      ...drawn,
      calmFromMs: EPOCH_START_MS + drawn.calmFromMs,
      clusterCrashAtMs: drawn.clusterCrashAtMs && EPOCH_START_MS + drawn.clusterCrashAtMs,
      wiped: drawn.wiped && { ...drawn.wiped, atMs: EPOCH_START_MS + drawn.wiped.atMs },
    }
    const header = genesisHeader(EPOCH_START_MS - 1_000)
    this.genesis = { hash: bytesToHex(hashHeader(header)), header, certificate: undefined }
    const { validators, twins, liars } = this.scenario
    const honest = new Set(
      [...validators.keys()].filter((index) => !twins.has(index) && !liars.has(index)),
    )
    this.honest = honest
    const setOfEpoch = (epoch: number) => setOf(this.scenario, epoch)
    const { epochBlocks, tooManyFaulty: mayFork } = this.scenario
    this.judge = new VoteJudge(setOfEpoch, this.timing, epochBlocks, header)
    this.checker = new Checker(setOfEpoch, this.judge, honest, mayFork)
    for (const index of validators.keys()) {
      this.instances.push(new Instance(this, `${index}`, index, honest.has(index)))
      if (twins.has(index)) this.instances.push(new Instance(this, `${index}'`, index, false))
    }
    const names = this.instances.map(({ name }) => name)
    this.network = new SimulatedNetwork(this.scenario, this.heap, this.random, names)
  }

  instanceOf(name: string): Instance | undefined {
    return this.instances.find((instance) => instance.name === name)
  }

  deliver(from: Instance, to: Instance, message: ConsensusMessage): void {
    const carried = this.scenario.coded ? throughCodec(message) : message
    const receive = () => to.receive(from.name, carried)
    this.network.send(from.name, to.name, receive, from.machine?.view)
  }

  /** Asks another node for a block, over the same network. */
  fetch(asker: Instance, hash: Hex, attempt: number): void {
    const others = this.instances.filter((instance) => instance !== asker)
    const turn = attempt + Number.parseInt(hash.slice(0, 4), 16)
    const asked = others[turn % others.length] as Instance
    this.network.send(asker.name, asked.name, () => {
      const block = asked.isUp ? asked.block(hash) : undefined
      if (!block) return
      const { header, justification } = block
      this.network.send(asked.name, asker.name, () => {
        const nowMs = asker.nowMs
        asker.step({ type: 'blockFetched', nowMs, header, justification })
      })
    })
  }

  /** Block sync of a node that is far behind: from an honest one it can reach. */
  requestSync(asker: Instance): void {
    const able = this.instances.filter(
      (other) =>
        other.honest &&
        other.isUp &&
        other.height > asker.height &&
        this.network.isConnected(asker.name, other.name),
    )
    if (able.length === 0) return
    const other = this.random.pick(able)
    this.heap.schedule(this.heap.now + this.random.between(100, 500), () => asker.syncFrom(other))
  }

  observe(instance: Instance, what: ConsensusEvent | RelayEffect): void {
    this.history.add(this.heap.now - EPOCH_START_MS)
    this.history.add(instance.validator * 256 + what.type.length + instance.height * 65_536)
    this.history.add(instance.machine?.view ?? 0)
    if (what.type === 'commit') this.history.addBytes(what.certificate.statement.hash)
    this.#trace?.(traceLine(this.heap.now - EPOCH_START_MS, instance, what))
  }

  run(seed: number): Outcome {
    let events = 0
    let recoveryMs = 0
    let forks = 0
    let violation: string | undefined
    try {
      this.#begin()
      const goals = new Map<Instance, number>()
      const { calmFromMs, tooManyFaulty } = this.scenario
      while (recoveryMs === 0) {
        if (!this.heap.step()) {
          // Two final chains stop everybody.
          if (tooManyFaulty) break
          throw new Violation('I6 nothing is left to happen')
        }
        events += 1
        if (this.heap.now < calmFromMs) continue
        if (tooManyFaulty) {
          if (this.heap.now > calmFromMs + MEETING_MS) break
          continue
        }
        if (this.#isLive(goals)) recoveryMs = Math.max(1, this.heap.now - calmFromMs)
        else if (this.heap.now > calmFromMs + this.#liveWithinMs) throw new Violation(this.#stuck())
      }
      if (tooManyFaulty) for (const instance of this.instances) instance.checkEnd()
      forks = this.#explainForks()
    } catch (error) {
      violation = error instanceof Violation ? error.message : String((error as Error).stack)
    }
    return {
      seed,
      history: this.history.hex(),
      height: this.checker.height,
      events,
      virtualMs: this.heap.now - EPOCH_START_MS,
      recoveryMs,
      forks,
      halts: this.instances.reduce((sum, { forksNoticed }) => sum + forksNoticed, 0),
      violation,
    }
  }

  #begin(): void {
    const { heap, random, scenario } = this
    for (const instance of this.instances) {
      heap.schedule(heap.now + random.between(0, 500), () => instance.start())
      if (scenario.liars.has(instance.validator)) new Liar(this, instance)
    }
    const { wiped } = scenario
    if (wiped) heap.schedule(wiped.atMs, () => this.instanceOf(`${wiped.validator}`)?.wipe())
    if (scenario.clusterCrashAtMs === undefined) return
    heap.schedule(scenario.clusterCrashAtMs, () => {
      for (const instance of this.instances) instance.crash()
    })
  }

  /** I8 for every two honest nodes; returns how many are on different chains. */
  #explainForks(): number {
    const honest = this.instances.filter((instance) => instance.honest)
    let forks = 0
    for (const [i, one] of honest.entries()) {
      for (const other of honest.slice(i + 1)) {
        const height = forkHeight(one, other)
        if (height === undefined) continue
        forks += 1
        checkGuilt(one, other, height, (epoch) => setOf(this.scenario, epoch), this.honest)
      }
    }
    return forks
  }

  /** I6: every honest node gets LIVE_BLOCKS further than the highest was when calm began. */
  #isLive(goals: Map<Instance, number>): boolean {
    const expected = this.instances.filter((instance) => this.#mustLive(instance))
    if (goals.size === 0) {
      const top = Math.max(...expected.map(({ height }) => height))
      for (const instance of expected) goals.set(instance, top + this.#liveBlocks)
    }
    return expected.every((instance) => instance.height >= (goals.get(instance) ?? 0))
  }

  get #liveBlocks(): number {
    return this.scenario.slow ? SLOW_BLOCKS : LIVE_BLOCKS
  }

  get #liveWithinMs(): number {
    return this.scenario.slow ? SLOW_WITHIN_MS : LIVE_WITHIN_MS
  }

  #mustLive({ honest }: Instance): boolean {
    return honest
  }

  /** I6 failed: the state of every node in one table. */
  #stuck(): string {
    const rows = this.instances.map((instance) => {
      const { machine, name, honest, height } = instance
      const wanted = machine?.tree.wanted.size ?? 0
      const state = machine
        ? `epoch ${machine.config.setup.epoch} view ${machine.view} final ${machine.finalView}`
        : 'down'
      return `  ${name.padEnd(4)}${honest ? 'honest' : 'faulty'} height ${height} ${state} wants ${wanted}`
    })
    const goal = `${this.#liveBlocks} blocks in ${this.#liveWithinMs} ms`
    return `I6 no ${goal} of calm\n${rows.join('\n')}`
  }
}

/** Everything a node says must survive its own codec. */
function throughCodec(message: ConsensusMessage): ConsensusMessage {
  const decoded = decodeMessage(encodeMessage({ type: 'consensus', message, body: EMPTY_BODY }))
  if (!decoded.ok || decoded.value.type !== 'consensus') {
    throw new Violation('a message does not survive its codec')
  }
  return decoded.value.message
}

function traceLine(atMs: number, instance: Instance, what: ConsensusEvent | RelayEffect): string {
  const { machine, name, height } = instance
  const view = machine
    ? `e${machine.config.setup.epoch} v${machine.view} f${machine.finalView}`
    : '-'
  const detail = JSON.stringify(what, (_, value: unknown) =>
    value instanceof Uint8Array ? bytesToHex(value).slice(0, 8) : value,
  )
  return `${String(atMs).padStart(7)} ${name.padEnd(4)} h${height} ${view} ${detail.slice(0, 300)}`
}
