import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { VoteVerifier } from '../consensus/machine-interface.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import { checkCertificate } from '../light/finality.ts'
import { HeaderBudget } from './header-budget.ts'
import { RECENT_BLOCKS, type RivalHeaders } from './rival-headers.ts'
import { FINAL_HEADER_BYTES_MAX } from '../net/final-gossip.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { GossipVerdict } from '../net/transaction-relay.ts'
import { epochOfHeight } from '../params/network-params.ts'
import { type FinalHeader, FinalHeaderType } from '../sync/sync-messages.ts'
import { blockHash } from '../types/block.ts'

export interface FinalAnnouncerOptions {
  readonly manager: Pick<ChainManager, 'params' | 'final' | 'validators' | 'onFinal'>
  /** Judges what contradicts the final chain. */
  readonly rivals: Pick<RivalHeaders, 'hashAt' | 'judge' | 'expect'>
  readonly network: Pick<FullNodeNetwork, 'onFinalHeader' | 'publishFinalHeader'>
  readonly crypto: VoteVerifier
  /** A clock that only goes forward, ms. */
  readonly nowMs: () => number
  /** Of a validator: it announces the blocks that it proposed. */
  readonly consensusKey: ConsensusKey | undefined
  /** Before fork choice has spoken, old keys could name any block final. */
  readonly isHeld: () => boolean
  /** The network is proven to be at this height, and this node did not get there by itself. */
  readonly catchUp: (height: number) => void
}

/** Block intervals that consensus or sync have to bring an announced block by themselves. */
const PATIENCE_INTERVALS = 2

/**
 * Gossip of final headers: a node whose peers are no validators, and are served by none, learns
 * within a hop or two what is final and fetches it. The proposer says it, everybody who has
 * checked the certificate passes it on once.
 */
export class FinalAnnouncer {
  readonly #options: FinalAnnouncerOptions
  readonly #unsubscribe: () => void
  /** Passed on already: another certificate for the same block is no news. */
  readonly #told = new Set<Hex>()
  readonly #budget: HeaderBudget
  #highest = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: FinalAnnouncerOptions) {
    this.#options = options
    this.#budget = new HeaderBudget(options.manager.params.blockIntervalMs, options.nowMs)
    options.network.onFinalHeader((peer, message) => this.#judge(peer, message))
    this.#unsubscribe = options.manager.onFinal((block) => this.#afterBlock(block))
  }

  stop(): void {
    this.#unsubscribe()
    clearTimeout(this.#timer)
  }

  #afterBlock({ hash, header, certificate }: FinalizedBlock): void {
    const { manager, network, consensusKey } = this.#options
    const proposer = manager.validators(header.epoch)?.[header.proposer]
    const isOurs =
      proposer && consensusKey && bytesEqual(proposer.publicKey, consensusKey.publicKey)
    if (!isOurs || !certificate || this.#told.has(hash)) return
    this.#remember(hash)
    network.publishFinalHeader(FinalHeaderType.serialize({ header, certificate }))
  }

  #judge(peer: string, message: Uint8Array): GossipVerdict {
    const decoded = decodeCanonical(FinalHeaderType, message, FINAL_HEADER_BYTES_MAX)
    if (!decoded.ok) return 'reject'
    const hash = blockHash(decoded.value.header)
    const verdict = this.#judgeHeader(peer, decoded.value, hash)
    if (verdict === 'accept') this.#accept(decoded.value.header.height, bytesToHex(hash))
    return verdict
  }

  #judgeHeader(peer: string, claim: FinalHeader, hash: Uint8Array): GossipVerdict {
    const { header, certificate } = claim
    const { manager, rivals, crypto, isHeld } = this.#options
    const { height, epoch } = header
    if (isHeld() || this.#told.has(bytesToHex(hash))) return 'ignore'
    const isPast = height <= manager.final.header.height
    if (isPast && rivals.hashAt(height) !== bytesToHex(hash)) return rivals.judge(peer, claim, hash)
    if (epochOfHeight(manager.params, height) !== epoch) return 'reject'
    const validators = manager.validators(epoch)
    // Epochs ahead: sync finds the way there, and who decides them.
    if (!validators || !this.#budget.take(peer)) return 'ignore'
    const deciders = { epochBlocks: manager.params.epochBlocks, validators, crypto }
    const isFinal = checkCertificate({ header, hash }, certificate, deciders).ok
    this.#budget.judged(peer, isFinal)
    if (!isFinal) return 'reject'
    if (!isPast) rivals.expect(claim, hash)
    return 'accept'
  }

  #accept(height: number, hash: Hex): void {
    this.#remember(hash)
    this.#highest = Math.max(this.#highest, height)
    const { manager, catchUp, consensusKey } = this.#options
    // A validator hears votes; an import would only interrupt it.
    const isBrought = consensusKey !== undefined || height <= manager.final.header.height
    if (isBrought || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (manager.final.header.height < height) catchUp(this.#highest)
    }, PATIENCE_INTERVALS * manager.params.blockIntervalMs)
  }

  #remember(hash: Hex): void {
    this.#told.add(hash)
    const [oldest] = this.#told
    if (oldest !== undefined && this.#told.size > 4 * RECENT_BLOCKS) this.#told.delete(oldest)
  }
}
