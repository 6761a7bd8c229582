import { mkdtempSync, existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesEqual, fromHex } from '../../../chain/src/bytes/hex.ts'
import type { ChainManager, FinalizedBlock } from '../../../chain/src/manager/chain-manager.ts'
import { isCheckpointHeight, type NetworkParams } from '../../../chain/src/params/network-params.ts'
import type { Genesis } from '../../../chain/src/rules/genesis-state.ts'
import { SampleChain } from '../../../chain/src/rules/testing/sample-chain.ts'
import { setMembers } from '../../../chain/src/rules/validator-set.ts'
import { HistoryHash } from '../cheap-crypto.ts'
import { Violation } from '../violation.ts'
import { EventHeap } from '../event-heap.ts'
import { SimulatedNetwork } from '../network.ts'
import { Random } from '../random.ts'
import { FLOODERS, Floods, isLiar } from './floods.ts'
import { forgetLogs, watchLogs } from './faulty-log.ts'
import { FullInstance } from './full-instance.ts'
import { ConsensusKey } from '../../../chain/src/driver/consensus-key.ts'
import { LedgerChecker } from './ledger-checker.ts'
import { laterNameOf, Newcomers } from './newcomers.ts'
import { Traitor, TRAITOR } from './traitor.ts'
import { SimulatedMainChain } from './simulated-main-chain.ts'
import { keyNamed, PAYERS, RELAYS, UNITS, Workload } from './workload.ts'

const NAMES = ['validator-0', 'validator-1', 'validator-2', 'validator-3'] as const
const START_MS = 1_700_000_001_000
/** Blocks that every node must get once the network is calm, and how soon. */
const LIVE_BLOCKS = 3
const LIVE_WITHIN_MS = 60_000
/** Depth of a main block that no reorganisation reaches. */
const ANCHOR_FINAL_BLOCKS = 3
/** Parts of all histories that are long, and their blocks in calm: stake has time to leave. */
const LONG = 0.25
const LONG_BLOCKS = 22
/** Checkpoints of which nobody writes to the main chain. */
const UNANCHORED = 0.2
/** Where stake has a long way to go, the main chain does not keep it waiting. */
const ANCHORED_SOON = { isLong: true, mainBlockMs: 60, mainDelayMs: 10, reorganisations: 0.05 }

let shared: SampleChain | undefined
let turnover: SampleChain | undefined
let flooded: SampleChain | undefined

/** One genesis for all histories: nodes read their own ledger from their own store. */
function sampleChain(): SampleChain {
  shared ??= chainWith({ validatorBondMin: 50n * UNITS, unbondingAnchors: 2 }, 10n)
  return shared
}

/** One for those in which owners move all their stake to another key. */
function turnoverChain(): SampleChain {
  turnover ??= chainWith({ validatorBondMin: 100n * UNITS, unbondingAnchors: 1 }, 200n)
  return turnover
}

/** One with accounts whose owners send more than anybody could keep. */
function floodedChain(): SampleChain {
  const params = { validatorBondMin: 50n * UNITS, unbondingAnchors: 2 }
  const rich = FLOODERS.map((name) => [name, 1000n * UNITS] as const)
  flooded ??= chainWith(params, 10n, rich)
  return flooded
}

function chainWith(
  params: Partial<NetworkParams>,
  ownerUnits: bigint,
  extra: readonly (readonly [string, bigint])[] = [],
): SampleChain {
  const balances = [
    ...PAYERS.map((name) => [name, 1000n * UNITS] as const),
    ...extra,
    ...NAMES.map((name) => [`${name}-owner`, ownerUnits * UNITS] as const),
  ]
  return new SampleChain({
    params: {
      epochBlocks: 3,
      anchorFinalMainBlocks: ANCHOR_FINAL_BLOCKS,
      unbondingEpochs: 1,
      ...params,
    },
    balances: Object.fromEntries(balances),
    nodes: RELAYS,
  })
}

/** What a history is about besides faults: nothing, newcomers among forgers, or floods. */
export const SUBJECTS = ['faults', 'newcomers', 'floods'] as const
export type Subject = (typeof SUBJECTS)[number]

export interface FullHistory {
  readonly about?: Subject
  readonly trace?: ((line: string) => void) | undefined
}

/** One in so many floods has a validator that lies; beside the seed of all else. */
const TRAITOR_EVERY = 4
const TRAITOR_SEED = 2 ** 34

const LOG_SEED = 0x1060_0000
const LOG_LOST = 0.4

interface FullScenario {
  readonly calmFromMs: number
  readonly loss: number
  readonly duplication: number
  readonly delayMaxMs: number
  readonly partitionMs: number
  /** Per message sent. */
  readonly crashRate: number
  readonly commitCrashRate: number
  /** The one node whose disk rots. */
  readonly rots: string | undefined
  readonly actionMs: number
  readonly mainBlockMs: number
  /** What a node learns of the main chain is at most so old. */
  readonly mainDelayMs: number
  /** Main blocks that another branch takes the place of, per block. */
  readonly reorganisations: number
  /** Goes on for as long as stake takes to leave. */
  readonly isLong: boolean
}

export interface FullOutcome {
  readonly seed: number
  readonly history: string
  readonly height: number
  readonly events: number
  /** Damaged stores that a start refused. */
  readonly rotNoticed: number
  /** Bytes of write-ahead logs that power cuts took. */
  readonly logBytesLost: number
  /** Newcomers that came to the tip, and times that one was told that nothing decides. */
  readonly joined: number
  readonly stopped: number
  /** Numbers of transactions in final blocks, by kind. */
  readonly included: ReadonlyMap<number, number>
  readonly violation: string | undefined
}

function drawFullScenario(random: Random): FullScenario {
  return {
    calmFromMs: START_MS + random.between(2_000, 5_000),
    isLong: random.chance(LONG),
    loss: random.pick([0, 0.05, 0.15]),
    duplication: random.pick([0, 0.05]),
    delayMaxMs: random.pick([30, 100, 400]),
    partitionMs: random.pick([0, 500, 2_000]),
    crashRate: random.pick([0, 0.003, 0.01]),
    commitCrashRate: random.pick([0, 0.05, 0.15]),
    rots: random.chance(0.7) ? random.pick(NAMES) : undefined,
    actionMs: random.pick([40, 100, 300]),
    mainBlockMs: random.pick([100, 200, 400]),
    mainDelayMs: random.pick([10, 300]),
    reorganisations: random.pick([0, 0.1, 0.3]),
  }
}

/** One seeded history of four whole full nodes. */
export class FullWorld {
  readonly random: Random
  readonly scenario: FullScenario
  readonly genesis: Genesis
  readonly heap = new EventHeap()
  readonly network: SimulatedNetwork
  readonly checker: LedgerChecker
  readonly mainChain: SimulatedMainChain
  readonly instances: FullInstance[]
  /** In a history about them. */
  readonly newcomers: Newcomers | undefined
  readonly floods: Floods | undefined
  /** In some floods. */
  readonly traitor: Traitor | undefined
  noticed = 0
  logBytesLost = 0
  readonly #seed: number
  readonly #logFaults: Random
  readonly #folder: string
  readonly #history = new HistoryHash()
  readonly #trace: ((line: string) => void) | undefined
  readonly #workload = new Workload(this)
  /** What the event in hand set going, and who may still be at work. */
  #work: (() => unknown)[] = []
  readonly #touched = new Set<FullInstance>()

  constructor(seed: number, { about = 'faults', trace }: FullHistory = {}) {
    watchLogs()
    this.#seed = seed
    this.#trace = trace
    this.random = new Random(seed)
    // Beside the seed of all else, so that what it draws stays as it was.
    this.#logFaults = new Random(seed + LOG_SEED)
    this.heap.now = START_MS
    const isTurnover = about === 'newcomers'
    const drawn = drawFullScenario(this.random)
    const isBetrayed = about === 'floods' && seed % TRAITOR_EVERY === 0
    this.scenario = {
      ...drawn,
      ...(isTurnover && ANCHORED_SOON),
      // Who lost its log may be silent for many views: one faulty validator of four is the most.
      ...(isBetrayed && { rots: TRAITOR }),
    }
    this.#folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ioex-full-'))
    const chains = { faults: sampleChain, newcomers: turnoverChain, floods: floodedChain }
    const chain = chains[about]()
    this.genesis = chain.genesis
    this.floods = about === 'floods' ? new Floods(this, new Random(seed + 2 ** 33)) : undefined
    this.traitor = isBetrayed ? new Traitor(this, new Random(seed + TRAITOR_SEED)) : undefined
    this.newcomers = isTurnover ? new Newcomers(this, seed, this.#folder) : undefined
    const { mainCheckpoint } = chain.document
    this.checker = new LedgerChecker(this.genesis, mainCheckpoint)
    this.mainChain = new SimulatedMainChain(this.genesis.chainId, mainCheckpoint)
    this.instances = NAMES.map((name) => {
      const own = () => this.newcomers?.keyOf(name) ?? new ConsensusKey(keyNamed(name).secretKey)
      const key = () => (isBetrayed && name === TRAITOR ? undefined : own())
      return new FullInstance(this, name, this.#folder, { key })
    })
    this.network = new SimulatedNetwork(this.scenario, this.heap, this.random, NAMES)
  }

  instanceOf(name: string): FullInstance | undefined {
    return this.instances.find((instance) => instance.name === name)
  }

  /** The node whose disk rots may lose its log as well: its lease then says what it may sign. */
  losesLog(name: string): boolean {
    return this.scenario.rots === name && this.#logFaults.chance(LOG_LOST)
  }

  others(instance: FullInstance): FullInstance[] {
    return this.instances.filter((each) => each !== instance)
  }

  /** One node more. */
  add(instance: FullInstance): void {
    this.instances.push(instance)
  }

  /** A node wants no more of a peer. */
  disconnected(node: FullInstance, peer: string): void {
    if (isLiar(peer)) node.gossip?.relay.disconnect(peer)
    else this.checker.report('an honest peer is taken for a forger')
  }

  note(what: string): void {
    this.#trace?.(`${this.heap.now - START_MS} ${what}`)
  }

  /** Done as part of the event in hand. */
  work(run: () => unknown): void {
    this.#work.push(run)
  }

  /** Runs as part of the event in hand, which ends when the node is at rest. */
  run(instance: FullInstance, work: () => unknown): void {
    this.#work.push(work)
    this.#touched.add(instance)
  }

  later(instance: FullInstance, work: () => unknown): void {
    const { heap, random } = this
    heap.schedule(heap.now + random.between(20, 200), () => this.run(instance, work))
  }

  carry(from: FullInstance, to: FullInstance, deliver: () => void): void {
    this.network.send(from.name, to.name, () => this.run(to, deliver))
  }

  final(instance: FullInstance, manager: ChainManager, block: FinalizedBlock): void {
    const { height } = block.header
    const isNews = height > this.checker.height
    this.checker.final(manager, block)
    if (isNews && isCheckpointHeight(this.genesis.params, height)) this.#anchor(manager, block)
    if (isNews) this.newcomers?.afterBlock(instance, manager, block)
    if (instance.name === TRAITOR) this.traitor?.afterBlock(manager)
    instance.finalised(height)
    this.#history.add(this.heap.now - START_MS)
    this.#history.addBytes(fromHex(block.hash))
    this.#trace?.(
      `${this.heap.now - START_MS} ${instance.name} block ${height} of epoch ${block.header.epoch}, ` +
        `${block.transactions.length} transactions, ${block.hash.slice(0, 8)}`,
    )
  }

  async play(): Promise<FullOutcome> {
    const { checker } = this
    let events = 0
    let joined = 0
    try {
      for (const instance of this.instances) await instance.start()
      this.#act()
      this.#mine()
      this.floods?.start()
      this.traitor?.start()
      let goal: number | undefined
      for (;;) {
        if (!this.heap.step()) throw new Violation('I6 nothing is left to happen')
        await this.#finishEvent()
        events += 1
        if (checker.violation) throw checker.violation
        if (!this.network.isCalm) continue
        if (this.newcomers) {
          joined = this.newcomers.joined
          if (this.newcomers.isOver) break
          if (this.newcomers.isLate) throw this.#stuck()
          continue
        }
        goal ??= checker.height + (this.scenario.isLong ? LONG_BLOCKS : LIVE_BLOCKS)
        if (this.instances.every(({ height }) => height >= (goal ?? 0))) break
        if (this.heap.now > this.scenario.calmFromMs + LIVE_WITHIN_MS) throw this.#stuck()
      }
    } catch (error) {
      const reason = error instanceof Violation ? error.message : String((error as Error).stack)
      checker.report(reason)
    } finally {
      for (const instance of this.instances) await instance.stop()
      rmSync(this.#folder, { recursive: true, force: true })
      forgetLogs(this.#folder)
    }
    return {
      seed: this.#seed,
      history: this.#history.hex(),
      height: checker.height,
      events,
      rotNoticed: this.noticed,
      logBytesLost: this.logBytesLost,
      joined,
      stopped: this.newcomers?.stopped ?? 0,
      included: checker.included,
      violation: checker.violation?.message,
    }
  }

  async #finishEvent(): Promise<void> {
    while (this.#work.length > 0 || this.#touched.size > 0) {
      for (const work of this.#work.splice(0)) await work()
      for (const instance of this.#touched) {
        this.#touched.delete(instance)
        await instance.settle()
      }
    }
  }

  #act(): void {
    const { heap, random, scenario } = this
    heap.schedule(heap.now + random.between(1, 2 * scenario.actionMs), () => {
      this.#work.push(() => this.#workload.act())
      this.#act()
    })
  }

  /** A validator writes a memo for a checkpoint, or nobody does. */
  #anchor({ ledger }: ChainManager, { hash, header }: FinalizedBlock): void {
    const { random } = this
    const members = setMembers(ledger, header.epoch) ?? []
    if (members.length === 0 || random.chance(UNANCHORED)) return
    const validatorIndex = random.between(0, members.length - 1)
    const key = [...NAMES, ...NAMES.map(laterNameOf)]
      .map(keyNamed)
      .find(({ publicKey }) =>
        bytesEqual(publicKey, members[validatorIndex]?.publicKey ?? publicKey),
      )
    if (!key) return
    const { secretKey } = key
    const checkpointHash = fromHex(hash)
    this.mainChain.write({ epoch: header.epoch, checkpointHash, validatorIndex, secretKey })
  }

  #mine(): void {
    const { heap, random, scenario, network, mainChain } = this
    heap.schedule(heap.now + random.between(1, 2 * scenario.mainBlockMs), () => {
      if ((!network.isCalm || scenario.isLong) && random.chance(scenario.reorganisations)) {
        mainChain.reorganise(random.between(1, ANCHOR_FINAL_BLOCKS - 1))
      } else {
        mainChain.mine()
      }
      const { best } = mainChain
      for (const { mainView, seesMainFromMs } of this.instances) {
        const at = heap.now + random.between(0, scenario.mainDelayMs)
        if (at >= seesMainFromMs) heap.schedule(at, () => mainView.see(best))
      }
      this.#mine()
    })
  }

  #stuck(): Violation {
    const heights = this.instances.map(
      ({ name, height, isUp }) => `${name} ${isUp ? height : 'down'}`,
    )
    return new Violation(`I6 too few blocks in calm: ${heights.join(', ')}`)
  }
}

export function runFullSeed(seed: number, history?: FullHistory): Promise<FullOutcome> {
  return new FullWorld(seed, history).play()
}

/** The command that plays it again. */
export function replayOf(seed: number, about: Subject = 'faults'): string {
  const which = about === 'faults' ? '' : ` --about ${about}`
  return `npm run sim -- --full-node${which} --seed ${seed} --count 1 --trace`
}
