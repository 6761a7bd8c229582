import { join } from 'node:path'
import { assert } from '../../../chain/src/bytes/assert.ts'
import { utf8ToBytes } from '../../../chain/src/bytes/hex.ts'
import type { BlockHost } from '../../../chain/src/driver/block-host.ts'
import { createConsensusCrypto } from '../../../chain/src/driver/consensus-crypto.ts'
import { ConsensusDriver } from '../../../chain/src/driver/consensus-driver.ts'
import type { ConsensusKey } from '../../../chain/src/driver/consensus-key.ts'
import type { DriverClock } from '../../../chain/src/driver/driver-clock.ts'
import { ChainManager } from '../../../chain/src/manager/chain-manager.ts'
import type { FinalBlock } from '../../../chain/src/consensus/machine-interface.ts'
import type { GossipVerdict } from '../../../chain/src/net/transaction-relay.ts'
import { SignerBoard } from '../../../chain/src/node/signer-board.ts'
import { POOL_LIMITS } from '../../../chain/src/pool/pool-limits.ts'
import type { FullNodeNetwork } from '../../../chain/src/net/full-node-network.ts'
import { anchoredCheckpoints } from '../../../chain/src/node/anchored-checkpoints.ts'
import { BranchChoice } from '../../../chain/src/node/branch-choice.ts'
import { BranchGate } from '../../../chain/src/node/branch-gate.ts'
import { mainChainObjection, systemTransactions } from '../../../chain/src/node/system-lane.ts'
import { TransactionEntry } from '../../../chain/src/node/transaction-entry.ts'
import { heightKey, Prefix } from '../../../chain/src/store/layout.ts'
import { BlockSync } from '../../../chain/src/sync/block-sync.ts'
import type { SyncPeers } from '../../../chain/src/sync/sync-peers.ts'
import { peersOf, serverOf } from '../../../chain/src/sync/testing/served-chain.ts'
import { FaultyDisk, PowerLoss } from './faulty-disk.ts'
import { loseLog, tearLog } from './faulty-log.ts'
import type { FullWorld } from './full-world.ts'
import { checkKept } from './node-bounds.ts'
import { logger, openStore } from './open-store.ts'
import { FLOODED_POOL, LIARS } from './floods.ts'
import { SimulatedGossip } from './simulated-gossip.ts'
import { MainView } from './simulated-main-chain.ts'
import { TRAITOR } from './traitor.ts'

const RESERVE_BYTES = 4096

/** What makes a node another than a validator of genesis. */
export interface NodeTerms {
  /** Asked at each start; undefined for a node that only follows. */
  readonly key: () => ConsensusKey | undefined
  /** Of a node that does not know which branch to follow: whom it asks for blocks. */
  readonly peers?: SyncPeers
  /** What is on its disk already. */
  readonly disk?: FaultyDisk
  /** From when on its main node shows it more than the first main block. */
  readonly seesMainFromMs?: number
}

interface Running {
  readonly manager: ChainManager
  readonly entry: TransactionEntry
  readonly sync: BlockSync
  /** Undefined for a node that was there all the time. */
  readonly gate: BranchGate | undefined
  readonly board: SignerBoard
  readonly gossip: SimulatedGossip | undefined
  driver: ConsensusDriver | undefined
}

/**
 * A whole full node but for its sockets, its clock and the main chain: driver, manager, rules,
 * pool and store are those of production.
 */
export class FullInstance {
  readonly name: string
  disk: FaultyDisk
  readonly mainView: MainView
  /** Why it last found no branch to follow. */
  stoppedBy: Error | undefined
  readonly #terms: NodeTerms
  readonly #world: FullWorld
  readonly #folder: string
  #running: Running | undefined
  #receive: ((peer: string, bytes: Uint8Array) => void) | undefined
  #gossip: ((peer: string, transaction: Uint8Array) => GossipVerdict) | undefined
  /** The power is gone, though some code does not know it yet. */
  #dying = false
  /** Counts starts: timers of an earlier one are void. */
  #generation = 0
  /** Calls of the host; says whether anything happened since. */
  #calls = 0
  #committed = 0
  #commits = 0
  readonly #reads = new Set<Promise<unknown>>()

  constructor(world: FullWorld, name: string, folder: string, terms: NodeTerms) {
    this.#world = world
    this.name = name
    this.#folder = join(folder, name)
    this.#terms = terms
    this.disk = terms.disk ?? new FaultyDisk()
    const { best } = world.mainChain
    const isBlind = world.heap.now < this.seesMainFromMs
    this.mainView = new MainView(isBlind ? best.slice(0, 1) : best, () => world.heap.now)
  }

  get seesMainFromMs(): number {
    return this.#terms.seesMainFromMs ?? 0
  }

  /** Its memory is its own affair. */
  get #isTraitor(): boolean {
    return this.#world.traitor !== undefined && this.name === TRAITOR
  }

  get isUp(): boolean {
    return this.#running !== undefined && !this.#dying
  }

  get manager(): ChainManager | undefined {
    return this.#running?.manager
  }

  get height(): number {
    return this.manager?.final.header.height ?? 0
  }

  /** Newest final block. */
  get final(): FinalBlock {
    assert(this.manager, 'the node is up')
    return this.manager.final
  }

  /** Where histories are about what is announced; else everybody is told everything. */
  get gossip(): SimulatedGossip | undefined {
    return this.isUp ? this.#running?.gossip : undefined
  }

  get entry(): TransactionEntry | undefined {
    return this.isUp ? this.#running?.entry : undefined
  }

  async start(): Promise<void> {
    this.#generation += 1
    this.#dying = false
    const { genesis } = this.#world
    const running = this.#assemble(await this.#openDisk())
    this.#running = running
    const { manager } = running
    const key = this.#terms.key()
    this.#world.checker.restarted(manager, this.#committed)
    manager.onFinal((block) => {
      running.entry.afterBlock(block)
      this.#world.final(this, manager, block)
    })
    running.driver = await ConsensusDriver.start({
      host: this.#host(manager),
      transport: {
        broadcast: (message) => {
          for (const peer of this.#world.others(this)) this.#send(peer, message)
        },
        send: (name, message) => {
          const peer = this.#world.instanceOf(name)
          if (peer) this.#send(peer, message)
        },
        peers: () => this.#world.others(this).map(({ name }) => name),
        onMessage: (handler) => {
          this.#receive = (peer, message) => {
            if (!running.gate?.isHeld) handler(peer, message)
          }
        },
      },
      params: genesis.params,
      chainId: genesis.chainId,
      directory: this.#folder,
      validator: key && { key, newValidator: true },
      reserveBytes: RESERVE_BYTES,
      logger,
      clock: this.#clock(),
    })
    this.disk.powerAt = () => this.#powerAt()
    const generation = this.#generation
    running.gossip?.start(() => this.isUp && generation === this.#generation)
  }

  /** Power fails after the effect in hand. */
  crash(): void {
    if (!this.isUp) return
    this.#dying = true
    void this.#running?.driver?.stop()
  }

  receive(from: string, bytes: Uint8Array): void {
    if (this.isUp) this.#receive?.(from, bytes)
  }

  /** A transaction from a peer. */
  hear(from: string, transaction: Uint8Array): void {
    if (this.isUp) this.#gossip?.(from, transaction)
  }

  /** What a process that signs says of itself. */
  tell(presence: Uint8Array): void {
    this.#running?.board.tell(presence)
  }

  /** I13, whatever was sent to it so far. */
  checkKept(): void {
    const running = this.#running
    const { floods, checker } = this.#world
    if (!running?.driver || !this.isUp || this.#isTraitor) return
    const { driver, manager, entry, board, gossip } = running
    const poolLimits = floods ? FLOODED_POOL : POOL_LIMITS
    const peers = this.#world.others(this).length + LIARS.length
    try {
      checkKept({ driver, manager, entry, board, relay: gossip?.relay, poolLimits, peers })
    } catch (error) {
      // Callers run inside what is checked, so that a throw would be taken for its fault.
      checker.report((error as Error).message)
    }
  }

  async submit(bytes: Uint8Array): Promise<void> {
    const admitted = await this.entry?.submit(bytes)
    if (!admitted?.ok || this.gossip) return
    for (const peer of this.#world.others(this)) {
      this.#world.carry(this, peer, () => peer.hear(this.name, bytes))
    }
  }

  async catchUp(): Promise<void> {
    if (this.isUp) await this.#running?.sync.catchUp()
  }

  /** What a node does every few seconds as long as it does not know whom to follow. */
  async lookForMore(): Promise<void> {
    const { gate, sync } = this.#running ?? {}
    if (!this.isUp || !gate || !sync) return
    try {
      await gate.catchUp(sync, 1)
      this.stoppedBy = undefined
    } catch (error) {
      this.stoppedBy = error as Error
    }
  }

  /** Resolves when the node does nothing but wait for messages and timers. */
  async settle(): Promise<void> {
    const { driver } = this.#running ?? {}
    if (!driver) return
    let before = -1
    while (this.isUp && before !== this.#calls) {
      before = this.#calls
      await Promise.all(this.#reads)
      // What was in the queue is done before, and the answers to it are in the queue after.
      await driver.advanceTo(() => Promise.resolve()).catch(() => undefined)
    }
    this.checkKept()
    if (this.#dying) await this.#end(driver)
  }

  async stop(): Promise<void> {
    await this.#running?.driver?.stop()
    this.#running = undefined
  }

  async #end(driver: ConsensusDriver): Promise<void> {
    await driver.stop()
    this.#running = undefined
    this.#receive = undefined
    const { random, heap } = this.#world
    const { disk } = this
    disk.powerAt = () => undefined
    if (disk.otherWrites > 1) this.#world.checker.report('the store wrote outside of a batch')
    if (disk.syncedBatches > this.#commits + 1) {
      this.#world.checker.report('the store wrote more than one batch for a commit')
    }
    await disk.losePower(random)
    this.#world.logBytesLost += tearLog(join(this.#folder, 'wal'), random)
    if (this.#world.losesLog(this.name)) loseLog(join(this.#folder, 'wal'))
    const downMs = random.between(200, 3_000)
    heap.schedule(heap.now + downMs, () => this.#world.run(this, () => this.start()))
  }

  /** What a start finds; rot must be noticed, and then the chain comes from the peers. */
  async #openDisk() {
    const { random, genesis, scenario } = this.#world
    const isRotten = scenario.rots === this.name && this.#committed > 0 && random.chance(0.8)
    const place = isRotten ? await this.disk.rot(random, this.#isProven()) : ''
    try {
      return await openStore(this.disk, genesis)
    } catch (error) {
      if (!isRotten) this.#world.checker.report(`a healthy store is refused: ${String(error)}`)
      this.#world.noticed += 1
    }
    this.disk = new FaultyDisk()
    this.#committed = 0
    this.#commits = 0
    return openStore(this.disk, genesis).catch((error: unknown) => {
      throw new Error(`no start after ${place}`, { cause: error })
    })
  }

  /** Records that every start proves: the state, and the newest block. */
  #isProven(): (key: Uint8Array) => boolean {
    const tip = heightKey(Prefix.block, this.#committed)
    const [state] = utf8ToBytes(Prefix.state)
    return (key) =>
      key[0] === state || (key.length === tip.length && key.every((b, i) => b === tip[i]))
  }

  #assemble({ store, opened }: Awaited<ReturnType<typeof openStore>>): Running {
    const { genesis, checker, heap, floods } = this.#world
    const { ledger } = opened
    const follower = this.mainView.follower()
    const network = {
      onTransaction: (handler: (peer: string, transaction: Uint8Array) => GossipVerdict) => {
        this.#gossip = handler
      },
      publishTransaction: (bytes: Uint8Array) => this.gossip?.relay.publish(bytes),
      disconnect: (peer: string) => this.#world.disconnected(this, peer),
    } as unknown as FullNodeNetwork
    const poolLimits = floods && FLOODED_POOL
    const nowMs = () => heap.now
    const entry = new TransactionEntry({ ledger, network, logger, nowMs, poolLimits })
    const judge = (peer: string, bytes: Uint8Array) => this.#gossip?.(peer, bytes) ?? 'ignore'
    const gossip = floods && new SimulatedGossip(this.#world, this, floods.random, judge)
    const { chainId } = genesis
    const board = new SignerBoard({ chainId, isValidator: () => true, nowMs })
    const manager = new ChainManager({
      params: genesis.params,
      chainId: genesis.chainId,
      ...opened,
      store,
      inputs: {
        systemLane: (parent) => {
          const lateVotes = entry.votes.forBlockOn(parent)
          const evidence = entry.evidence.forBlockOn(parent)
          return systemTransactions(parent, follower, { evidence, lateVotes })
        },
        waiting: (parent) => entry.waiting(parent),
        isVerified: (root) => entry.isVerified(root),
        objection: (header, transactions, parent) =>
          mainChainObjection(header, transactions, parent, follower),
      },
      logger,
      nowMs: () => heap.now,
      onBehind: () => this.#world.later(this, () => this.catchUp()),
      onVote: (vote) => entry.votes.add(vote),
      onEvidence: (first, second) => {
        if (this.#world.traitor?.isShownBy([first, second])) entry.reportEvidence(first, second)
        else checker.report(`I7 evidence against validator ${first.validator}`)
      },
      onHalt: ({ code, message, cause }) => this.#halted(`${code} ${message}`, cause),
    })
    const peers = this.#terms.peers
    const clock = this.#clock()
    const choice =
      peers &&
      new BranchChoice({
        genesis,
        peers,
        peersExpected: peers.peers().length,
        anchors: () => anchoredCheckpoints(follower, genesis.params.anchorConfirmedMainBlocks),
        store,
        logger,
        clock,
      })
    const final = () => manager.final.header
    const gate = choice && new BranchGate({ genesis, choice, final, clock })
    const sync = new BlockSync({
      manager,
      peers: peers ?? this.#honestPeers(),
      checkpointAfter: choice && ((head) => choice.checkpointAfter(head)),
      crypto: createConsensusCrypto(genesis.chainId, undefined),
      nowMs: () => heap.now,
      exclusively: (run) =>
        this.#running?.driver?.advanceTo(run) ?? Promise.reject(new Error('down')),
    })
    return { manager, entry, sync, gate, board, gossip, driver: undefined }
  }

  #honestPeers(): SyncPeers {
    return {
      peers: () => this.#reachable().map(({ name }) => name),
      ask: (name, request, max) => {
        const served = this.#world.instanceOf(name)?.manager
        if (!served) return Promise.reject(new Error('gone'))
        const server = serverOf(served)
        return peersOf({ [name]: (asked) => server.answer(asked) }).ask(name, request, max)
      },
    }
  }

  #reachable(): FullInstance[] {
    const { network } = this.#world
    return this.#world
      .others(this)
      .filter((peer) => peer.isUp && network.isConnected(this.name, peer.name))
  }

  #halted(reason: string, cause: unknown): void {
    if (this.#dying || cause instanceof PowerLoss) return
    this.#world.checker.report(`${this.name} halted: ${reason} ${String((cause as Error)?.stack)}`)
    this.crash()
  }

  #send(peer: FullInstance, message: Uint8Array): void {
    if (this.#mayCrash()) this.crash()
    if (this.#dying) return
    const copy = message.slice()
    this.#world.carry(this, peer, () => peer.receive(this.name, copy))
  }

  #mayCrash(): boolean {
    const { network, random, scenario } = this.#world
    return this.isUp && !network.isCalm && random.chance(scenario.crashRate)
  }

  #powerAt(): 'before' | 'after' | undefined {
    const { network, random, scenario } = this.#world
    this.#commits += 1
    if (!this.isUp || network.isCalm || !random.chance(scenario.commitCrashRate)) return undefined
    this.crash()
    return random.pick(['before', 'after'] as const)
  }

  /** The manager, with the calls counted. */
  #host(manager: ChainManager): BlockHost {
    const counted = <T>(call: () => Promise<T>): Promise<T> => {
      this.#calls += 1
      return call()
    }
    return {
      head: () => manager.head(),
      epochSetup: (epoch) => counted(() => manager.epochSetup(epoch)),
      buildBlock: (request) => counted(() => manager.buildBlock(request)),
      isBodyOf: (header, body) => manager.isBodyOf(header, body),
      validateBlock: (block) => counted(() => manager.validateBlock(block)),
      commitBlocks: async (commit) => {
        this.#calls += 1
        await manager.commitBlocks(commit)
      },
      readBlock: (hash) => {
        const read = counted(() => manager.readBlock(hash))
        this.#reads.add(read)
        void read.finally(() => this.#reads.delete(read))
        return read
      },
      onBehind: (hint) => manager.onBehind(hint),
      onVote: (vote) => manager.onVote(vote),
      onEvidence: (first, second) => manager.onEvidence(first, second),
      onHalt: (reason) => manager.onHalt(reason),
    }
  }

  /** Its store has said that this block is synced. */
  finalised(height: number): void {
    this.#committed = height
  }

  #clock(): DriverClock {
    const { heap } = this.#world
    const generation = this.#generation
    return {
      now: () => heap.now,
      setTimer: (delayMs, callback) => {
        let isSet = true
        heap.schedule(heap.now + Math.ceil(delayMs), () => {
          if (isSet && this.isUp && generation === this.#generation) this.#world.run(this, callback)
        })
        return () => {
          isSet = false
        }
      },
    }
  }
}
