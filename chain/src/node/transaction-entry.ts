import type { Logger } from 'pino'
import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { FinalizedBlock } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import { TransactionPool } from '../pool/transaction-pool.ts'
import { applyTransaction, beginBlock } from '../rules/execute-block.ts'
import { epochOfHeight } from '../params/network-params.ts'
import { draftOf, type Ledger } from '../state/ledger.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import type { Vote } from '../types/consensus-objects.ts'
import {
  decodeTransaction,
  encodeTransaction,
  transactionId,
  transactionRoot,
} from '../types/transaction-codec.ts'
import { PayloadKind, type Transaction } from '../types/transactions.ts'
import { decodeBatch, encodeBatches } from '../net/transaction-batch.ts'
import { EvidenceKeeper } from './evidence-keeper.ts'
import { unsigned } from './system-lane.ts'

/** Roots of transactions whose signature was checked, oldest forgotten first. */
const VERIFIED_MAX = 50_000
/** Transactions collected before they are gossiped as one batch. */
const GOSSIP_DELAY_MS = 20
/** Blocks for which gossiped evidence can be taken up. */
const GOSSIP_VALID_BLOCKS = 100

export interface TransactionEntryOptions {
  readonly ledger: Ledger
  readonly network: FullNodeNetwork
  readonly logger: Logger
}

/**
 * The one door for transactions, from RPC and from gossip: decoded, tried on a scratch draft of
 * the final ledger by the rule that will execute it, pooled, passed on.
 */
export class TransactionEntry {
  readonly pool: TransactionPool
  readonly evidence: EvidenceKeeper
  readonly #ledger: Ledger
  readonly #network: FullNodeNetwork
  readonly #logger: Logger
  readonly #verified = new Set<Hex>()
  #outgoing: Uint8Array[] = []

  constructor({ ledger, network, logger }: TransactionEntryOptions) {
    this.#ledger = ledger
    this.#network = network
    this.#logger = logger
    this.evidence = new EvidenceKeeper(ledger)
    this.pool = new TransactionPool((transaction, before) => this.#try(transaction, before))
    network.onTransactions((_, batch) => {
      for (const bytes of decodeBatch(batch)) this.#admit(bytes)
    })
  }

  isVerified(root: Hex): boolean {
    return this.#verified.has(root)
  }

  submit(bytes: Uint8Array): Promise<Result<Uint8Array>> {
    const admitted = this.#admit(bytes)
    if (admitted.ok) this.#gossip(bytes)
    // A client that sends again after a lost answer is told the same id.
    if (!admitted.ok && admitted.fault.code === 'ALREADY_KNOWN') {
      const decoded = decodeTransaction(bytes)
      if (decoded.ok) return Promise.resolve(ok(transactionId(decoded.value)))
    }
    return Promise.resolve(admitted)
  }

  /** Two contradicting votes that consensus saw: kept for a block, and told to everybody. */
  reportEvidence(first: Vote, second: Vote): void {
    const evidence = this.evidence.evidenceOf(first, second)
    if (!evidence.ok) return
    const { validator } = evidence.value
    this.#logger.error({ validator, first, second }, 'a validator signed twice')
    if (!this.evidence.keep(evidence.value)) return
    const validUntil = this.#ledger.globals().height + GOSSIP_VALID_BLOCKS
    const payload = { selector: PayloadKind.evidence, value: evidence.value }
    this.#gossip(encodeTransaction(unsigned(this.#ledger, payload, validUntil)))
  }

  afterBlock({ transactions }: FinalizedBlock): void {
    this.evidence.afterBlock()
    const included = transactions.map((transaction) => bytesToHex(transactionId(transaction)))
    this.pool.afterBlock(included, this.#ledger)
  }

  #admit(bytes: Uint8Array): Result<Uint8Array> {
    const decoded = decodeTransaction(bytes)
    if (!decoded.ok) return decoded
    const id = transactionId(decoded.value)
    const { payload } = decoded.value.body
    if (payload.selector === PayloadKind.evidence) {
      const tried = this.#try(decoded.value, [])
      if (!tried.ok) return tried
      return this.evidence.keep(payload.value) ? ok(id) : fault('ALREADY_KNOWN', 'evidence is kept')
    }
    const added = this.pool.add(bytesToHex(id), decoded.value, bytes.length)
    if (!added.ok) return added
    this.#remember(bytesToHex(transactionRoot(decoded.value)))
    return ok(id)
  }

  /** Executes it as if it stood in the next block, after the sender's own waiting ones. */
  #try(transaction: Transaction, before: readonly Transaction[]): Result<undefined> {
    const { height, timeMs } = this.#ledger.globals()
    const draft = draftOf(this.#ledger)
    const begun = beginBlock(draft, {
      height: height + 1,
      epoch: epochOfHeight(this.#ledger.params, height + 1),
      timeMs: timeMs + 1,
      proposer: 0,
      participants: [],
      // No rule reads it before the next block records it as a checkpoint.
      parentHash: ZERO_HASH,
    })
    if (!begun.ok) return begun
    const options = { isVerified: (root: Hex) => this.#verified.has(root) }
    for (const earlier of before) applyTransaction(begun.value, earlier, options)
    return applyTransaction(begun.value, transaction, options)
  }

  #remember(root: Hex): void {
    this.#verified.add(root)
    if (this.#verified.size <= VERIFIED_MAX) return
    const [oldest] = this.#verified
    if (oldest !== undefined) this.#verified.delete(oldest)
  }

  #gossip(bytes: Uint8Array): void {
    this.#outgoing.push(bytes)
    if (this.#outgoing.length > 1) return
    setTimeout(() => {
      const batches = encodeBatches(this.#outgoing)
      this.#outgoing = []
      for (const batch of batches) {
        this.#network.publishTransactions(batch).catch((error: unknown) => {
          this.#logger.debug({ reason: String(error) }, 'gossip failed')
        })
      }
    }, GOSSIP_DELAY_MS)
  }
}
