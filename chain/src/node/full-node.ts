import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { ConfirmPolicy } from '../follower/confirm-check.ts'
import type { MainChainFollower } from '../follower/follower.ts'
import type { MainNode } from '../follower/main-node.ts'
import { sharedMainWallet } from '../anchor/main-wallet.ts'
import type { AccountOutputs } from '../follower/account-outputs.ts'
import { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import { SubmittedAnchors } from '../anchor/submitted-anchors.ts'
import { bytesEqual, fromHex } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import type { HaltReason } from '../driver/block-host.ts'
import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import { ConsensusDriver } from '../driver/consensus-driver.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import { orDiskFull } from '../driver/disk-reserve.ts'
import { refuseForked } from '../driver/fork-record.ts'
import { ChainManager } from '../manager/chain-manager.ts'
import { HistoryProofs } from '../manager/history-proofs.ts'
import { SignatureThreads } from '../native/signature-threads.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import { checkpointHeight, isCheckpointHeight } from '../params/network-params.ts'
import type { TransactionPool } from '../pool/transaction-pool.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import { BlockScrubber, type ScrubStatus } from '../sync/block-scrubber.ts'
import { BlockSync } from '../sync/block-sync.ts'
import type { Status } from '../sync/sync-messages.ts'
import type { SyncPeers } from '../sync/sync-peers.ts'
import { SyncServer } from '../sync/sync-server.ts'
import { BranchChoice } from './branch-choice.ts'
import { BranchGate } from './branch-gate.ts'
import { CheckpointAnchorer } from './checkpoint-anchorer.ts'
import { consensusTransport } from './consensus-wire.ts'
import { EvictionSweep } from './eviction-sweep.ts'
import { EvidenceFile } from './evidence-file.ts'
import { FinalAnnouncer } from './final-announcer.ts'
import { farewell, ownersOf } from './fork-farewell.ts'
import type { JoinOptions } from './join-network.ts'
import { openMainAccount } from './main-account.ts'
import { confirmOptions, createNodeFollower, deepAnchors } from './node-follower.ts'
import { type OpenedNode, openNode, type SyncMode } from './open-node.ts'
import { type OpeningsKept, OpeningsPruner } from './openings-pruner.ts'
import { RivalHeaders } from './rival-headers.ts'
import { SignerBoard } from './signer-board.ts'
import { SignerWatch } from './signer-watch.ts'
import { SnapshotMaker } from './snapshot-maker.ts'
import { reportAnchorLag, reportMainChain, reportPeg } from './peg-alarm.ts'
import { bringsNewerHeader, mainChainObjection, systemTransactions } from './system-lane.ts'
import { TransactionEntry } from './transaction-entry.ts'
import { UnknownAnchors } from './unknown-anchors.ts'

export interface FullNodeOptions {
  readonly genesis: Genesis
  /** The node's own folder: chain/ and consensus/ lie in it. */
  readonly folder: string
  /** 32-byte secp256k1 secret: the libp2p identity. */
  readonly nodeKey: Uint8Array
  readonly listen: readonly string[]
  /** Multiaddrs to tell others instead of those. */
  readonly announce?: readonly string[] | undefined
  /** Multiaddrs of other full nodes. */
  readonly peers: readonly string[]
  /** A main node: http://… for its JSON-RPC, elap2p://host:port for its P2P protocol. */
  readonly mainChainUrl: string
  /** More main nodes of either kind; of all the branch with the most work is followed. */
  readonly mainChainOtherUrls?: readonly string[] | undefined
  /** Asks for the Confirms of main blocks before their headers are served or voted for. */
  readonly mainConfirms?: ConfirmPolicy | undefined
  /** Default snapshot; nodes that audit the whole history use full. */
  readonly sync?: SyncMode | undefined
  /** Told how far a join by snapshot is, which happens before the node is up. */
  readonly onJoining?: JoinOptions['onJoining']
  /** What the operator vouches for where the main chain does not. */
  readonly operatorTrust?: JoinOptions['operatorTrust']
  /** Openings of proofs and fills: `all`, as an archive node, unless told otherwise. */
  readonly openings?: OpeningsKept | undefined
  /** Undefined for a node that only follows. */
  readonly validator:
    | {
        readonly consensusKey: ConsensusKey
        /** P-256 secret that pays memo anchors. */
        readonly mainKey: Uint8Array
        /**
         * True at the key's very first start: allows a folder without signing history. With
         * ifNotBehind it counts as such only where no network went on without this folder.
         */
        readonly newValidator: boolean | 'ifNotBehind'
        /** Skip timeouts to listen for another signer of the key before signing; default 10. */
        readonly watchTimeouts?: number | undefined
        /** Room kept on the disk for an orderly end, bytes; default 64 MiB. */
        readonly reserveBytes?: number | undefined
      }
    | undefined
  readonly logger: Logger
  /** The last block of this epoch is the last one that this node finalises. */
  readonly haltEpoch?: number | undefined
  /**
   * Consensus stopped for good; the process should end. At a fork (FORK_PROOF) what shows it has
   * been offered to peers for a while by then: stop() is in order.
   */
  readonly onHalt: (reason: HaltReason) => void
}

/** What the manager calls before the node is there. */
interface Later {
  hint: (height: number | undefined) => void
  halt: (reason: HaltReason) => void
}

/** How memos are paid for on the main chain. */
interface MainPayment {
  readonly nodes: readonly MainNode[]
  readonly owned: AccountOutputs | undefined
}

/** What a node is put together from, each already started. */
type FullNodeParts = Pick<
  FullNode,
  'manager' | 'pool' | 'network' | 'follower' | 'submittedAnchors' | 'transactions' | 'signatures'
>

/** T0 x 10 (consensus 1.7): several views of a slow network. */
const WATCH_TIMEOUTS = 10
/** How often a node asks its peers whether they are ahead, besides hints from consensus. */
const SYNC_POLL_MS = 5000
/** Nearer than this, consensus fetches missing blocks itself, without being interrupted. */
const SYNC_POLL_LEAD = 32

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
  #driver: ConsensusDriver | undefined
  #sync: BlockSync | undefined
  #anchorer: CheckpointAnchorer | undefined
  #sweep: EvictionSweep | undefined
  #announcer: FinalAnnouncer | undefined
  #rivals: RivalHeaders | undefined
  #snapshots: SnapshotMaker | undefined
  #scrubber: BlockScrubber | undefined
  #pruner: OpeningsPruner | undefined
  readonly #signerWatch: SignerWatch | undefined
  #syncTimer: NodeJS.Timeout | undefined
  readonly #choice: BranchChoice
  readonly #gate: BranchGate
  #isStopping = false
  #target = 0

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
    const { genesis, logger, validator } = options
    this.#signerWatch =
      validator &&
      new SignerWatch({
        ...parts,
        consensusKey: validator.consensusKey,
        watchMs: watchMsOf(options),
        onTwin: () => this.#driver?.stopForTwin(),
        logger,
      })
    this.#choice = new BranchChoice({
      genesis,
      store: parts.manager.store,
      peers: syncPeersOf(parts.network),
      peersExpected: options.peers.length,
      anchors: () => deepAnchors(options, parts.manager.ledger),
      operatorTrust: options.operatorTrust,
      logger,
    })
    const final = () => parts.manager.final.header
    this.#gate = new BranchGate({ genesis, choice: this.#choice, final })
  }

  static async start(options: FullNodeOptions): Promise<FullNode> {
    const { genesis, logger } = options
    const { folder, validator } = options
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
    const evidenceShelf = new EvidenceFile(join(options.folder, 'evidence'))
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
      inputs: {
        systemLane: (parent) =>
          systemTransactions(parent, follower, {
            evidence: transactions.evidence.forBlockOn(parent),
            lateVotes: transactions.votes.forBlockOn(parent),
            submitted: submittedAnchors,
          }),
        waiting: (parent) => transactions.waiting(parent),
        isVerified: (root) => transactions.isVerified(root),
        async objection(header, included, parent) {
          // With Confirms a header that we have not read is refused: look for it first.
          if (options.mainConfirms && bringsNewerHeader(included, follower)) {
            await Promise.race([
              follower.poll().catch(() => undefined),
              setTimeout(genesis.params.skipTimeoutMs / LOOKS_PER_SKIP, undefined, { ref: false }),
            ])
          }
          return mainChainObjection(header, included, parent, follower)
        },
      },
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
    return Math.max(this.#target, this.manager.final.header.height)
  }

  /** View, epoch and vote state, for status pages. */
  consensus() {
    return this.#driver?.status()
  }

  /** What reading the chain on disk again found so far. */
  get scrub(): ScrubStatus | undefined {
    return this.#scrubber?.status
  }

  /** Checks, pools and gossips a transaction (SSZ bytes); gives its id. */
  submit(bytes: Uint8Array): Promise<Result<Uint8Array>> {
    return this.transactions.submit(bytes)
  }

  catchUp(height: number | undefined): void {
    this.#target = Math.max(this.#target, height ?? 0)
    void this.#sync?.catchUp()
  }

  async stop(): Promise<void> {
    this.#endDuties()
    await this.follower.stop()
    await this.#driver?.stop()
    await this.network.stop()
    await this.signatures.stop()
    await this.#snapshots?.stop()
    await this.#scrubber?.stop()
    await this.#pruner?.stop()
    await this.#opened.shelf.close()
    await this.#opened.store.close()
  }

  /** What the node does by itself, beyond answering others. Safe to call twice. */
  #endDuties(): void {
    this.#isStopping = true
    clearInterval(this.#syncTimer)
    this.#choice.stop()
    this.#anchorer?.stop()
    this.#sweep?.stop()
    this.#announcer?.stop()
    this.#rivals?.stop()
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
    const { validator } = this.#options
    manager.onFinal((block) => this.transactions.afterBlock(block))
    const unknownAnchors = new UnknownAnchors(manager.ledger, this.follower, this.#logger)
    manager.onFinal((block) => reportPeg(block, this.#logger))
    manager.onFinal(({ header }) => {
      this.follower.release(manager.ledger.globals().mainTipHeight)
      if (isCheckpointHeight(manager.params, header.height)) {
        reportMainChain(manager.ledger, this.follower, this.#logger)
        reportAnchorLag(manager.ledger, this.follower, this.#logger)
        if (header.height === this.targetHeight) unknownAnchors.report()
      }
      this.#logger.debug({ height: header.height }, 'final')
    })
    await this.#serveSigners()
    this.#driver = await this.#startDriver()
    this.#signerWatch?.start()
    const driver = this.#driver
    const peers = syncPeersOf(network)
    const crypto = createConsensusCrypto(manager.chainId, undefined)
    const sync = (this.#sync = this.#blockSync(driver))
    await this.#hearFinalHeaders(driver)
    const { serve, shelf } = this.#opened
    const places = new HistoryProofs(manager.store)
    serve(new SyncServer({ store: manager.store, status: () => this.#status(), shelf, places }))
    const isSyncing = () =>
      this.targetHeight > manager.final.header.height + manager.params.epochBlocks
    this.#snapshots = new SnapshotMaker({ manager, shelf, isSyncing, logger: this.#logger })
    this.#scrubber = new BlockScrubber({
      store: manager.store,
      params: manager.params,
      crypto,
      peers,
      validatorsOf: (epoch) => manager.validators(epoch),
      final: () => manager.final,
      isBusy: isSyncing,
      logger: this.#logger,
    })
    this.#scrubber.start(this.#opened.damaged)
    if (this.#options.openings === 'recent') {
      this.#pruner = new OpeningsPruner({ manager, logger: this.#logger })
    }
    this.#syncTimer = setInterval(() => void this.#lookForMore(sync), SYNC_POLL_MS)
    void this.#lookForMore(sync)
    if (validator) this.#startDuties(validator, isSyncing)
  }

  async #hearFinalHeaders(driver: ConsensusDriver): Promise<void> {
    const { manager, network } = this
    const crypto = createConsensusCrypto(manager.chainId, undefined)
    this.#rivals = new RivalHeaders({
      manager,
      crypto,
      settledEpoch: () => driver.settledEpoch,
      onFork: (fork, pairs) => driver.stopForFork(fork, pairs),
      nowMs: () => performance.now(),
    })
    await this.#rivals.begin()
    this.#announcer = new FinalAnnouncer({
      manager,
      rivals: this.#rivals,
      network,
      crypto,
      consensusKey: this.#options.validator?.consensusKey,
      isHeld: () => this.#gate.isHeld,
      catchUp: (height) => this.catchUp(height),
    })
  }

  #blockSync(driver: ConsensusDriver): BlockSync {
    const { manager, network } = this
    const { haltEpoch } = this.#options
    return new BlockSync({
      manager,
      peers: syncPeersOf(network),
      crypto: createConsensusCrypto(manager.chainId, undefined),
      checkpointAfter: (head) => this.#choice.checkpointAfter(head),
      exclusively: (run) => driver.advanceTo(run),
      lastHeight: haltEpoch && checkpointHeight(manager.params, haltEpoch),
      onProgress: (height, target) => {
        this.#target = Math.max(this.#target, target)
        this.#logger.debug({ height, target }, 'range imported')
      },
      onBadPeer: (peer, fault) => this.#logger.warn({ peer, ...fault }, 'a peer gave bad blocks'),
      onPeerFailed: (peer, error) =>
        this.#logger.warn({ peer, reason: String(error) }, 'no blocks from a peer'),
    })
  }

  /** Copies of one validator need a third node to learn of each other. */
  #serveSigners(): Promise<void> {
    const { manager, network } = this
    const board = new SignerBoard({
      chainId: manager.chainId,
      isValidator: (publicKey) => isInSets(manager, publicKey),
      nowMs: () => performance.now(),
    })
    return network.serveSigners((presence) => Promise.resolve(board.tell(presence)))
  }

  /** Catches up with peers that are ahead, where it is clear whom to follow. */
  async #lookForMore(sync: BlockSync): Promise<void> {
    try {
      await this.#gate.catchUp(sync, SYNC_POLL_LEAD)
    } catch (error) {
      if (this.#isStopping) return
      this.#logger.error({ reason: (error as Error).message }, 'no branch to follow')
    }
  }

  #status(): Status {
    const { chainId, final } = this.manager
    const { height, epoch } = final.header
    return { chainId, height, hash: fromHex(final.hash), epoch }
  }

  #startDriver(): Promise<ConsensusDriver> {
    const { genesis, folder, validator, logger, peers } = this.#options
    const { params } = genesis
    const watch = this.#signerWatch
    const { joined } = this.#opened
    return ConsensusDriver.start({
      host: this.manager,
      transport: consensusTransport(this.network, () => this.#gate.isHeld),
      params,
      chainId: genesis.chainId,
      directory: join(folder, 'consensus'),
      validator: validator && {
        key: validator.consensusKey,
        newValidator: validator.newValidator === 'ifNotBehind' ? !joined : validator.newValidator,
      },
      watchMs: watchMsOf(this.#options),
      lookAround:
        watch &&
        (() =>
          watch.lookAround(
            () => this.#sync,
            peers.length,
            () => this.#gate.isHeld,
          )),
      tipAgeMaxMs: joined
        ? Math.max(params.epochBlocks * params.blockIntervalMs, params.clockBehindMs)
        : undefined,
      reserveBytes: validator?.reserveBytes,
      logger,
      haltEpoch: this.#options.haltEpoch,
    })
  }

  #startDuties(keys: NonNullable<FullNodeOptions['validator']>, isSyncing: () => boolean): void {
    const { manager, follower } = this
    const memos = new MemoAnchorer({
      client: sharedMainWallet(this.#payment.nodes, this.#payment.owned),
      elaSecretKey: keys.mainKey,
      isConfirmed: (id) => follower.hasTransaction(id),
    })
    this.#anchorer = new CheckpointAnchorer({
      manager,
      memos,
      consensusKey: keys.consensusKey,
      isSyncing,
      logger: this.#logger,
    })
    this.#sweep = new EvictionSweep({
      manager,
      consensusKey: keys.consensusKey,
      nodeKey: this.#options.nodeKey,
      submit: (transaction) => this.submit(transaction),
      isSyncing,
      logger: this.#logger,
    })
  }
}

function watchMsOf({ validator, genesis }: FullNodeOptions): number {
  return (validator?.watchTimeouts ?? WATCH_TIMEOUTS) * genesis.params.skipTimeoutMs
}

/** Whether a consensus key is in the running epoch's set or in the next one's. */
function isInSets(manager: ChainManager, publicKey: Uint8Array): boolean {
  const { epoch } = manager.final.header
  return [epoch, epoch + 1].some((each) =>
    manager.validators(each)?.some((member) => bytesEqual(member.publicKey, publicKey)),
  )
}

function syncPeersOf(network: FullNodeNetwork): SyncPeers {
  return {
    peers: () => network.peers(),
    ask: (...question) => network.requestSync(...question),
  }
}

/** A vote waits so much of a skip timeout for a main header that somebody else has seen. */
const LOOKS_PER_SKIP = 4
