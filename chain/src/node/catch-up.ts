import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import type { ConsensusDriver } from '../driver/consensus-driver.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import { checkpointHeight } from '../params/network-params.ts'
import { BlockSync } from '../sync/block-sync.ts'
import { BranchChoice } from './branch-choice.ts'
import { BranchGate } from './branch-gate.ts'
import type { FullNodeOptions } from './full-node-options.ts'
import { deepAnchors } from './node-follower.ts'
import { syncPeersOf } from './sync-wire.ts'

/** How often a node asks its peers whether they are ahead, besides hints from consensus. */
const SYNC_POLL_MS = 5000
/** Nearer than this, consensus fetches missing blocks itself, without being interrupted. */
const SYNC_POLL_LEAD = 32

export interface CatchUpParts {
  readonly manager: ChainManager
  readonly network: FullNodeNetwork
}

/**
 * How a node gets to where its peers are and stays there: it hears that they are ahead, decides
 * whose branch it follows, and fetches blocks while consensus stands still.
 */
export class CatchUp {
  readonly #options: FullNodeOptions
  readonly #parts: CatchUpParts
  readonly #choice: BranchChoice
  readonly #gate: BranchGate
  #sync: BlockSync | undefined
  #timer: NodeJS.Timeout | undefined
  #target = 0
  #isStopped = false

  constructor(options: FullNodeOptions, parts: CatchUpParts) {
    const { genesis, peers, operatorTrust, logger } = options
    const { manager, network } = parts
    this.#options = options
    this.#parts = parts
    this.#choice = new BranchChoice({
      genesis,
      store: manager.store,
      peers: syncPeersOf(network),
      peersExpected: peers.length,
      anchors: () => deepAnchors(options, manager.ledger),
      operatorTrust,
      logger,
    })
    const final = () => manager.final.header
    this.#gate = new BranchGate({ genesis, choice: this.#choice, final })
  }

  /**
   * Height that was proven or that we reached ourselves; while blocks come from a peer, also what
   * that peer says of itself. Kept for longer, one lie would end a validator's duties for good.
   */
  get targetHeight(): number {
    const claimed = this.#sync?.claimedHeight ?? 0
    return Math.max(this.#target, claimed, this.#parts.manager.final.header.height)
  }

  /** The target is more than an epoch away: what happens here now is long past elsewhere. */
  get isSyncing(): boolean {
    const { final, params } = this.#parts.manager
    return this.targetHeight > final.header.height + params.epochBlocks
  }

  /** Consensus is not heard until fork choice has spoken. */
  get isHeld(): boolean {
    return this.#gate.isHeld
  }

  /** Undefined before consensus runs. */
  get sync(): BlockSync | undefined {
    return this.#sync
  }

  /** From now on hints are followed; what is imported interrupts this driver. */
  begin(driver: Pick<ConsensusDriver, 'advanceTo'>): void {
    this.#sync = this.#blockSync(driver)
  }

  /** Asks peers now and from time to time whether they are ahead. */
  keepAsking(): void {
    this.#timer = setInterval(() => void this.#lookForMore(), SYNC_POLL_MS)
    void this.#lookForMore()
  }

  /** Somebody has shown that this height is final, or (undefined) that there is more to fetch. */
  hint(height: number | undefined): void {
    this.#target = Math.max(this.#target, height ?? 0)
    void this.#sync?.catchUp()
  }

  /** Safe to call twice. */
  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#choice.stop()
  }

  /** Catches up with peers that are ahead, where it is clear whom to follow. */
  async #lookForMore(): Promise<void> {
    if (!this.#sync) return
    try {
      await this.#gate.catchUp(this.#sync, SYNC_POLL_LEAD)
    } catch (error) {
      if (this.#isStopped) return
      this.#options.logger.error({ reason: (error as Error).message }, 'no branch to follow')
    }
  }

  #blockSync(driver: Pick<ConsensusDriver, 'advanceTo'>): BlockSync {
    const { manager, network } = this.#parts
    const { haltEpoch, logger } = this.#options
    return new BlockSync({
      manager,
      peers: syncPeersOf(network),
      crypto: createConsensusCrypto(manager.chainId, undefined),
      checkpointAfter: (head) => this.#choice.checkpointAfter(head),
      exclusively: (run) => driver.advanceTo(run),
      lastHeight: haltEpoch && checkpointHeight(manager.params, haltEpoch),
      onProgress: (height, target) => logger.debug({ height, target }, 'range imported'),
      onBadPeer: (peer, fault) => logger.warn({ peer, ...fault }, 'a peer gave bad blocks'),
      onPeerFailed: (peer, error) =>
        logger.warn({ peer, reason: String(error) }, 'no blocks from a peer'),
    })
  }
}
