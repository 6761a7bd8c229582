import type { Logger } from 'pino'
import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { FinalizedBlock } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { GossipVerdict } from '../net/transaction-relay.ts'
import { epochOfHeight, isCheckpointHeight } from '../params/network-params.ts'
import { PeerBudgets } from '../pool/peer-budgets.ts'
import type { PoolLimits } from '../pool/pool-limits.ts'
import type { PoolView } from '../pool/pool-view.ts'
import { type PoolRules, TransactionPool } from '../pool/transaction-pool.ts'
import { waitingOf } from '../pool/waiting.ts'
import { balanceOf, nonceOf } from '../rules/accounts.ts'
import type { Ledger } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Vote } from '../types/consensus-objects.ts'
import {
  decodeTransaction,
  encodeTransaction,
  transactionId,
  transactionRoot,
  verifyTransaction,
} from '../types/transaction-codec.ts'
import { type Evidence, PayloadKind, type Transaction } from '../types/transactions.ts'
import { EvidenceKeeper, type EvidenceShelf } from './evidence-keeper.ts'
import { ScratchLedgers } from './scratch-ledgers.ts'
import { unsigned } from './system-lane.ts'
import { VoteKeeper } from './vote-keeper.ts'

/** Roots of transactions whose signature was checked, the least recently used forgotten first. */
const VERIFIED_MAX = 50_000
/** Blocks for which gossiped evidence can be taken up. */
const GOSSIP_VALID_BLOCKS = 100
/** Faults that an honest sender's peer never passes on. */
const FORGED: ReadonlySet<string> = new Set([
  'SIGNATURE_INVALID',
  'EVIDENCE_SIGNATURE',
  'MALFORMED',
  'NOT_CANONICAL',
])

export interface TransactionEntryOptions {
  readonly ledger: Ledger
  readonly network: FullNodeNetwork
  readonly logger: Logger
  /** Keeps evidence across restarts; absent: in memory only. */
  readonly evidenceShelf?: EvidenceShelf
  /** A clock that only goes forward, milliseconds; default the process' own. */
  readonly nowMs?: () => number
  /** Default POOL_LIMITS. */
  readonly poolLimits?: PoolLimits | undefined
}

/**
 * The one door for transactions, from RPC and from gossip: decoded, checked, tried on a scratch
 * draft of the final ledger by the rule that will execute it, pooled, passed on.
 */
export class TransactionEntry {
  readonly pool: TransactionPool
  readonly evidence: EvidenceKeeper
  readonly votes: VoteKeeper
  readonly #ledger: Ledger
  readonly #network: FullNodeNetwork
  readonly #logger: Logger
  readonly #scratches: ScratchLedgers
  readonly #nowMs: () => number
  readonly #budgets = new PeerBudgets()
  readonly #verified = new Set<Hex>()

  constructor(options: TransactionEntryOptions) {
    const { ledger, network, logger, nowMs, evidenceShelf, poolLimits } = options
    this.#nowMs = nowMs ?? (() => performance.now())
    this.#ledger = ledger
    this.#network = network
    this.#logger = logger
    this.evidence = new EvidenceKeeper(ledger, {
      shelf: evidenceShelf,
      onProblem: (error) => logger.error({ error }, 'evidence could not be written'),
    })
    this.votes = new VoteKeeper(ledger)
    this.#scratches = new ScratchLedgers(ledger)
    const rules: PoolRules = {
      view: () => viewOf(ledger),
      isSigned: (transaction) => this.#isSigned(transaction),
      trial: (waiting, before) => this.#scratches.trial(waiting, before),
      nowMs: this.#nowMs,
    }
    this.pool = new TransactionPool(rules, poolLimits)
    network.onTransaction((peer, transaction) => this.#onGossip(peer, transaction))
  }

  /** What it keeps in memory now, each bounded whatever peers send. */
  sizes() {
    return {
      pool: this.pool.sizes(),
      scratches: this.#scratches.size,
      evidence: this.evidence.waiting.length,
      votes: this.votes.sizes(),
      peers: this.#budgets.size,
      verified: this.#verified.size,
    }
  }

  /** Whether this signature was checked before; by the hex of transactionRoot. */
  isVerified(root: Hex): boolean {
    if (!this.#verified.delete(root)) return false
    this.#verified.add(root)
    return true
  }

  /** Waiting transactions for a block on this ledger, best first. */
  waiting(ledger: LedgerDraft): Iterable<Transaction> {
    return this.pool.best(viewOf(ledger))
  }

  submit(bytes: Uint8Array): Promise<Result<Uint8Array>> {
    const admitted = this.#admit(bytes)
    if (admitted.ok) this.#network.publishTransaction(bytes)
    // A client that sends again after a lost answer is told the same id.
    if (!admitted.ok && admitted.fault.code === 'ALREADY_KNOWN') {
      const decoded = decodeTransaction(bytes)
      if (decoded.ok) return Promise.resolve(ok(transactionId(decoded.value)))
    }
    return Promise.resolve(admitted)
  }

  /**
   * Two contradicting votes that consensus saw: kept for a block, told to everybody, and logged as
   * a transaction that an operator can send again, whatever becomes of this node.
   */
  reportEvidence(first: Vote, second: Vote): void {
    const evidence = this.evidence.evidenceOf(first, second)
    if (!evidence.ok || !this.evidence.keep(evidence.value)) return
    const transaction = this.#accusation(evidence.value)
    const { validator } = evidence.value
    const facts = { validator, transaction: bytesToHex(transaction) }
    this.#logger.error(facts, 'a validator signed twice')
    this.#network.publishTransaction(transaction)
  }

  #accusation(evidence: Evidence): Uint8Array {
    const validUntil = this.#ledger.globals().height + GOSSIP_VALID_BLOCKS
    const payload = { selector: PayloadKind.evidence, value: evidence }
    return encodeTransaction(unsigned(this.#ledger, payload, validUntil))
  }

  afterBlock({ header, transactions }: FinalizedBlock): void {
    this.#scratches.clear()
    this.evidence.afterBlock()
    // Told again in each epoch: whoever heard it may have lost it, or may not have been there.
    if (isCheckpointHeight(this.#ledger.params, header.height)) {
      for (const evidence of this.evidence.waiting)
        this.#network.publishTransaction(this.#accusation(evidence))
    }
    this.votes.afterBlock()
    const included = transactions.map((transaction) => ({
      id: bytesToHex(transactionId(transaction)),
      sender: transaction.body.sender,
    }))
    this.pool.afterBlock(included)
  }

  /** Announces to others only what is new and good; what is forged is its sender's fault. */
  #onGossip(peer: string, bytes: Uint8Array): GossipVerdict {
    if (!this.#budgets.takeTransaction(peer, this.#nowMs())) return 'ignore'
    const admitted = this.#admit(bytes)
    if (admitted.ok) return 'accept'
    if (!FORGED.has(admitted.fault.code)) return 'ignore'
    if (!this.#budgets.takeBadSignature(peer, this.#nowMs())) {
      this.#logger.warn({ peer }, 'peer sends forged transactions: disconnected')
      this.#network.disconnect(peer)
    }
    return 'reject'
  }

  #admit(bytes: Uint8Array): Result<Uint8Array> {
    const decoded = decodeTransaction(bytes)
    if (!decoded.ok) return decoded
    const id = transactionId(decoded.value)
    const { payload } = decoded.value.body
    if (payload.selector === PayloadKind.evidence) {
      if (!this.evidence.isNews(payload.value)) return fault('ALREADY_KNOWN', 'evidence is kept')
      const waiting = waitingOf(bytesToHex(id), decoded.value, bytes.length)
      const tried = this.#scratches.trial(waiting, [])
      if (!tried.ok) return tried
      this.evidence.keep(payload.value)
      return ok(id)
    }
    const added = this.pool.add(bytesToHex(id), decoded.value, bytes.length)
    return added.ok ? ok(id) : added
  }

  #isSigned(transaction: Transaction): boolean {
    const root = bytesToHex(transactionRoot(transaction))
    if (this.isVerified(root)) return true
    if (!verifyTransaction(transaction, this.#ledger.chainId)) return false
    this.#remember(root)
    return true
  }

  #remember(root: Hex): void {
    this.#verified.add(root)
    if (this.#verified.size <= VERIFIED_MAX) return
    const [oldest] = this.#verified
    if (oldest !== undefined) this.#verified.delete(oldest)
  }
}

function viewOf(ledger: LedgerDraft): PoolView {
  const { height, baseFee } = ledger.globals()
  return {
    height,
    epoch: epochOfHeight(ledger.params, height + 1),
    baseFee,
    nonceOf: (address) => nonceOf(ledger, address),
    balanceOf: (address) => balanceOf(ledger, address),
  }
}
