import { join } from 'node:path'
import type { Logger } from 'pino'
import { SubmittedAnchors } from '../anchor/submitted-anchors.ts'
import { fromHex } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import type { HaltReason } from '../driver/block-host.ts'
import type { ConsensusDriver } from '../driver/consensus-driver.ts'
import { orDiskFull } from '../driver/disk-reserve.ts'
import { refuseForked } from '../driver/fork-record.ts'
import type { MainChainFollower } from '../follower/follower.ts'
import { ChainManager } from '../manager/chain-manager.ts'
import { HistoryProofs } from '../manager/history-proofs.ts'
import { SignatureThreads } from '../native/signature-threads.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { TransactionPool } from '../pool/transaction-pool.ts'
import type { ScrubStatus } from '../sync/block-scrubber.ts'
import type { Status } from '../sync/sync-messages.ts'
import { SyncServer } from '../sync/sync-server.ts'
import { createBlockInputs } from './block-inputs.ts'
import { CatchUp } from './catch-up.ts'
import { ChainUpkeep } from './chain-upkeep.ts'
import { EvidenceFile } from './evidence-file.ts'
import { logFinalBlocks } from './final-block-log.ts'
import { FinalHeaders } from './final-headers.ts'
import { farewell, ownersOf } from './fork-farewell.ts'
import type { FullNodeOptions } from './full-node-options.ts'
import { openMainAccount } from './main-account.ts'
import { confirmOptions, createNodeFollower } from './node-follower.ts'
import { type OpenedNode, openNode } from './open-node.ts'
import { serveSigners } from './signer-board.ts'
import type { SignerWatch } from './signer-watch.ts'
import { createSignerWatch, startConsensus } from './start-consensus.ts'
import { TransactionEntry } from './transaction-entry.ts'
import { type MainPayment, ValidatorDuties } from './validator-duties.ts'

/** What the manager calls before the node is there. */
interface Later {
  hint: (height: number | undefined) => void
  halt: (reason: HaltReason) => void
}

/** What a node is put together from, each already started. */
type FullNodeParts = Pick<
  FullNode,
  'manager' | 'pool' | 'network' | 'follower' | 'submittedAnchors' | 'transactions' | 'signatures'
>

/**
 * A full node: final chain on disk, consensus, block sync, pool, the followed main chain. Starts
 * what others need first and stops in the opposite order.
 */
export class FullNode {
  readonly manager: ChainManager
  readonly pool: TransactionPool
  readonly network: FullNodeNetwork
  readonly follower: MainChainFollower
  /** Proofs that an Arbiter brought; proposers record them. */
  readonly submittedAnchors: SubmittedAnchors
  readonly transactions: TransactionEntry
  /** Threads that check the signatures of large blocks. */
  readonly signatures: SignatureThreads
  readonly #opened: OpenedNode
  readonly #logger: Logger
  readonly #options: FullNodeOptions
  readonly #payment: MainPayment
  readonly #catchUp: CatchUp
  readonly #signerWatch: SignerWatch | undefined
  #driver: ConsensusDriver | undefined
  #finalHeaders: FinalHeaders | undefined
  #upkeep: ChainUpkeep | undefined
  #duties: ValidatorDuties | undefined

  private constructor(
    options: FullNodeOptions,
    parts: FullNodeParts,
    opened: OpenedNode,
    payment: MainPayment,
  ) {
    this.#options = options
    this.#payment = payment
    this.#logger = options.logger
    this.#opened = opened
    this.manager = parts.manager
    this.pool = parts.pool
    this.network = parts.network
    this.follower = parts.follower
    this.submittedAnchors = parts.submittedAnchors
    this.transactions = parts.transactions
    this.signatures = parts.signatures
    this.#signerWatch = createSignerWatch(options, parts, () => this.#driver?.stopForTwin())
    this.#catchUp = new CatchUp(options, parts)
  }

  static async start(options: FullNodeOptions): Promise<FullNode> {
    const { genesis, folder, validator, logger } = options
    await refuseForked(join(folder, 'consensus'))
    const opened = await openNode(
      options,
      (ledger) => createNodeFollower(options, ledger).follower,
    ).catch((error: unknown) => {
      throw orDiskFull(error, folder, validator?.reserveBytes)
    })
    const { store, network, ledger, head } = opened
    const account = openMainAccount(options)
    const more = { ...confirmOptions(options), ...account.follower }
    const { follower, mainNodes } = createNodeFollower(options, ledger, more)
    follower.start()
    const submittedAnchors = new SubmittedAnchors()
    const evidenceShelf = new EvidenceFile(join(folder, 'evidence'))
    const transactions = new TransactionEntry({ ledger, network, logger, evidenceShelf })
    const signatures = new SignatureThreads()
    signatures.install()
    const later: Later = { hint: () => undefined, halt: () => undefined }
    const manager = new ChainManager({
      params: genesis.params,
      chainId: genesis.chainId,
      ledger,
      head,
      store,
      inputs: createBlockInputs(options, { follower, transactions, submittedAnchors }),
      signatures,
      logger,
      onBehind: ({ height }) => later.hint(height),
      onVote: (vote) => transactions.votes.add(vote),
      onEvidence: (first, second) => transactions.reportEvidence(first, second),
      onHalt: (reason) => later.halt(reason),
    })
    const { pool } = transactions
    const parts = { manager, pool, network, follower, submittedAnchors, transactions, signatures }
    const payment = { nodes: mainNodes, owned: account.owned }
    const node = new FullNode(options, parts, opened, payment)
    later.hint = (height) => node.catchUp(height)
    later.halt = (reason) => void node.#halt(reason)
    await node.#begin()
    return node
  }

  /** Height that a peer proved or we reached ourselves. */
  get targetHeight(): number {
    return this.#catchUp.targetHeight
  }

  /** View, epoch and vote state, for status pages. */
  consensus() {
    return this.#driver?.status()
  }

  /** What reading the chain on disk again found so far. */
  get scrub(): ScrubStatus | undefined {
    return this.#upkeep?.scrub
  }

  /** Checks, pools and gossips a transaction (SSZ bytes); gives its id. */
  submit(bytes: Uint8Array): Promise<Result<Uint8Array>> {
    return this.transactions.submit(bytes)
  }

  /** Looks for blocks up to this height, or (undefined) as far as peers have them. */
  catchUp(height: number | undefined): void {
    this.#catchUp.hint(height)
  }

  async stop(): Promise<void> {
    this.#endDuties()
    await this.follower.stop()
    await this.#driver?.stop()
    await this.network.stop()
    await this.signatures.stop()
    await this.#upkeep?.stop()
    await this.#opened.shelf.close()
    await this.#opened.store.close()
  }

  /** What the node does by itself, beyond answering others. Safe to call twice. */
  #endDuties(): void {
    this.#catchUp.stop()
    this.#duties?.stop()
    this.#finalHeaders?.stop()
    this.#signerWatch?.stop()
  }

  async #halt({ code, message, cause, guilty = [] }: HaltReason): Promise<void> {
    const owners = ownersOf(this.manager.ledger, guilty)
    this.#logger.fatal({ code, cause: String(cause), guilty, owners }, message)
    if (code === 'FORK_PROOF') {
      this.#endDuties()
      await farewell(this.manager)
    }
    this.#options.onHalt({ code, message: [...owners, message].join('; '), guilty })
  }

  async #begin(): Promise<void> {
    const { manager, network } = this
    const catchUp = this.#catchUp
    const signerWatch = this.#signerWatch
    const consensusKey = this.#options.validator?.consensusKey
    const { joined } = this.#opened
    this.#followFinalBlocks()
    await serveSigners(manager, network)
    const parts = { manager, network, catchUp, signerWatch, joined }
    const driver = (this.#driver = await startConsensus(this.#options, parts))
    signerWatch?.start()
    catchUp.begin(driver)
    const heard = { manager, network, driver, catchUp, consensusKey }
    this.#finalHeaders = await FinalHeaders.begin(heard)
    this.#serveHistory()
    this.#beginUpkeep()
    catchUp.keepAsking()
    this.#beginDuties()
  }

  #followFinalBlocks(): void {
    const { manager, follower, transactions } = this
    manager.onFinal((block) => transactions.afterBlock(block))
    manager.onFinal(() => follower.release(manager.ledger.globals().mainTipHeight))
    const isNewest = (height: number) => height === this.targetHeight
    logFinalBlocks(manager, follower, isNewest, this.#logger)
  }

  #serveHistory(): void {
    const { serve, shelf } = this.#opened
    const { store } = this.manager
    const places = new HistoryProofs(store)
    serve(new SyncServer({ store, status: () => this.#status(), shelf, places }))
  }

  #status(): Status {
    const { chainId, final } = this.manager
    const { height, epoch } = final.header
    return { chainId, height, hash: fromHex(final.hash), epoch }
  }

  #beginUpkeep(): void {
    const { manager, network } = this
    this.#upkeep = new ChainUpkeep({
      manager,
      network,
      shelf: this.#opened.shelf,
      damaged: this.#opened.damaged,
      openings: this.#options.openings,
      isSyncing: () => this.#catchUp.isSyncing,
      logger: this.#logger,
    })
  }

  #beginDuties(): void {
    const { validator: keys, nodeKey } = this.#options
    if (!keys) return
    const { manager, follower } = this
    this.#duties = new ValidatorDuties({
      keys,
      nodeKey,
      manager,
      follower,
      payment: this.#payment,
      submit: (transaction) => this.submit(transaction),
      isSyncing: () => this.#catchUp.isSyncing,
      logger: this.#logger,
    })
  }
}
