import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { CommittedBlock } from '../manager/chain-store.ts'
import { checkpointHeight } from '../params/network-params.ts'
import { LevelStore } from '../store/level-store.ts'
import { SnapshotStalledError } from '../sync/chunk-fetch.ts'
import type { ProvenBranch } from '../sync/epoch-branches.ts'
import { decodeEpochProof, genesisEpoch } from '../sync/epoch-proofs.ts'
import {
  fetchSnapshot,
  ShelfDamagedError,
  snapshotEntries,
  snapshotOffers,
} from '../sync/snapshot-restore.ts'
import type { SnapshotShelf } from '../sync/snapshot-shelf.ts'
import {
  type Status,
  SYNC_FRAME_BYTES_MAX,
  SyncAnswerType,
  SyncRequestKind,
  syncRequest,
} from '../sync/sync-messages.ts'
import { askStatus } from '../sync/sync-peers.ts'
import { BLOCK_BYTES_MAX, BlockType, blockHash, isJustificationOf } from '../types/block.ts'
import {
  CertificateType,
  type Header,
  JustificationType,
  ReproposalsType,
} from '../types/consensus-objects.ts'
import type { EpochProof } from '../types/epoch-proof.ts'
import { transactionId, transactionListRoot } from '../types/transaction-codec.ts'
import type { Transaction } from '../types/transactions.ts'
import {
  type BranchSearchOptions,
  chosenBranch,
  epochsSince,
  LEAD_EPOCHS,
  SILENCE_MS,
  SilentPeersError,
} from './branch-choice.ts'
import { genesisBlock } from './open-chain.ts'

/** Nearer than this, replaying the blocks is no work worth a snapshot. */
const SNAPSHOT_LEAD_EPOCHS = LEAD_EPOCHS
/** How long a node with an empty folder waits for most of its peers to say where they are. */
const LOOK_AROUND_MS = 15_000
const LOOK_AGAIN_MS = 100
const RETRY_MS = 1000
const TRIES_MAX = 30

export interface JoinOptions extends BranchSearchOptions {
  /** The node's own folder: chain/ and chain.new/ lie in it. */
  readonly folder: string
  /** Full nodes that the node was told of. */
  readonly peersExpected: number
  readonly shelf: SnapshotShelf
  /** Told when the join begins and as chunks come. */
  readonly onJoining?: ((progress: JoinProgress) => void) | undefined
}

/** How far a node is on its way to a snapshot's state. */
export interface JoinProgress {
  /** Of the snapshot; before one is chosen, what peers have reached. */
  readonly epoch: number
  /** Chunks that are here, and how many are known of so far. */
  readonly chunks: number
  readonly chunksKnown: number
}

/**
 * For a node whose chain is empty: where peers are epochs ahead, brings the state at a proven
 * checkpoint and makes it the node's database. Trusts genesis, the main chain and its operator; no
 * peer. Resolves to whether it did; throws ForkedNetworkError and UnanchoredBranchError as
 * `chosenBranch` does. The chain's database must be closed.
 */
export async function joinBySnapshot(given: JoinOptions): Promise<boolean> {
  // Years of the main chain are read once, however often a snapshot is looked for.
  let anchors: ReturnType<JoinOptions['anchors']> | undefined
  const options = { ...given, anchors: () => (anchors ??= given.anchors()) }
  const { genesis, logger, clock } = options
  if (
    epochsSince(genesis, genesis.block.header.timeMs, clock?.now()) <= SNAPSHOT_LEAD_EPOCHS ||
    options.peersExpected === 0
  )
    return false
  const lead = await epochAhead(options)
  if (lead <= SNAPSHOT_LEAD_EPOCHS) return false
  logger.info({ epoch: lead }, 'peers are ahead: joining by snapshot')
  options.onJoining?.({ epoch: lead, chunks: 0, chunksKnown: 0 })
  const branch = await comparedBranch(options)
  if (!branch || branch.epochs.length <= SNAPSHOT_LEAD_EPOCHS) return false
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      if (await restoreFrom(options, tries === 0 ? branch : await grown(options, branch)))
        return true
    } catch (error) {
      if (!(error instanceof SnapshotStalledError || error instanceof ShelfDamagedError))
        throw error
      logger.warn({ reason: error.message }, 'the snapshot is not whole yet')
    }
    await setTimeout(RETRY_MS)
  }
  logger.warn('no snapshot to be had: blocks are replayed from genesis instead')
  return false
}

/** What peers say; it decides only whether to look closer. */
async function epochAhead(options: JoinOptions): Promise<number> {
  const { peers, peersExpected } = options
  const said = new Map<string, Status>()
  const end = Date.now() + LOOK_AROUND_MS
  for (;;) {
    const silent = peers.peers().filter((peer) => !said.has(peer))
    await Promise.all(
      silent.map(async (peer) => {
        const status = await askStatus(peers, peer, options.genesis.chainId)
        if (status) said.set(peer, status)
      }),
    )
    if (2 * said.size > peersExpected || Date.now() > end) break
    await setTimeout(LOOK_AGAIN_MS)
  }
  return Math.max(0, ...[...said.values()].map(({ epoch }) => epoch))
}

/** The branch to join, once all peers have answered or had their time. */
async function comparedBranch(options: JoinOptions): Promise<ProvenBranch | undefined> {
  const end = Date.now() + SILENCE_MS
  for (;;) {
    try {
      return await chosenBranch(options, genesisEpoch(options.genesis), Date.now() > end)
    } catch (error) {
      if (!(error instanceof SilentPeersError)) throw error
      options.logger.warn({ reason: error.message }, 'peers are asked again')
    }
    await setTimeout(RETRY_MS)
  }
}

/**
 * The network goes on while a snapshot is fetched: its newest one may be of a later epoch. What was
 * chosen once is only continued: another time others may be silent.
 */
async function grown(options: JoinOptions, branch: ProvenBranch): Promise<ProvenBranch> {
  // It was vouched for a moment ago.
  const continued = { ...options, operatorTrust: 'any' } as const
  const more = await chosenBranch(continued, branch.epochs.at(-1))
  if (!more) return branch
  return {
    checkpoints: [...branch.checkpoints, ...more.checkpoints],
    proofs: [...branch.proofs, ...more.proofs],
    epochs: [...branch.epochs, ...more.epochs],
    peers: more.peers,
  }
}

async function restoreFrom(options: JoinOptions, branch: ProvenBranch): Promise<boolean> {
  const { shelf, peers, logger, onJoining } = options
  const epoch = await snapshotEpoch(options, branch)
  const trusted = epoch === undefined ? undefined : branch.epochs[epoch - 1]
  if (epoch === undefined || !trusted) return false
  const { header } = trusted
  let told = 0
  await fetchSnapshot({
    peers,
    shelf,
    header,
    onProgress: (done, known) => {
      onJoining?.({ epoch, chunks: done, chunksKnown: known })
      if (done < known && done < told + known / 10) return
      told = done
      logger.info({ epoch, done, known }, 'snapshot chunks')
    },
    onBadPeer: (peer, fault) => logger.warn({ peer, ...fault }, 'a peer gave a bad chunk'),
  })
  const proof = decodeEpochProof(branch.proofs[epoch - 1] as Uint8Array)
  const block = proof.ok && (await checkpointBlock(options, proof.value))
  if (!block) throw new SnapshotStalledError(`no peer gives block ${header.height}`)
  await replaceDatabase(options, header, branch, block)
  logger.info({ epoch, height: header.height }, 'the snapshot is the database now')
  return true
}

/** The newest snapshot on the branch; one that is half here goes on as long as it is offered. */
async function snapshotEpoch(
  { shelf, peers }: JoinOptions,
  branch: ProvenBranch,
): Promise<number | undefined> {
  const offered = [...(await snapshotOffers(peers)).keys(), ...(await shelf.epochs())]
    .filter((epoch) => epoch >= 1 && epoch <= branch.epochs.length)
    .sort((a, b) => b - a)
  const begun = await shelf.unfinished()
  return begun && offered.includes(begun.epoch) ? begun.epoch : offered[0]
}

/** The checkpoint's own block: what the next epoch's first block stands on. */
async function checkpointBlock(
  { peers, genesis }: JoinOptions,
  proof: EpochProof,
): Promise<CommittedBlock | undefined> {
  const height = checkpointHeight(genesis.params, proof.header.epoch)
  const request = syncRequest(SyncRequestKind.range, { from: height, count: 1 })
  for (const peer of peers.peers()) {
    try {
      const bytes = await peers.ask(peer, request, SYNC_FRAME_BYTES_MAX)
      const answer = decodeCanonical(SyncAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
      const [served] = answer.ok ? answer.value.blocks : []
      const block = served && provenBlock(proof, served.block, served.justification)
      if (block) return block
    } catch {
      // The next peer is asked.
    }
  }
  return undefined
}

function provenBlock(
  { header, certificate, reproposals }: EpochProof,
  bytes: Uint8Array,
  justification: Parameters<typeof JustificationType.serialize>[0],
): CommittedBlock | undefined {
  const block = decodeCanonical(BlockType, bytes, BLOCK_BYTES_MAX)
  if (!block.ok) return undefined
  const hash = blockHash(header)
  // The SSZ union of payloads is typed wider than ours.
  const transactions = block.value.body.transactions as Transaction[]
  if (!bytesEqual(blockHash(block.value.header), hash)) return undefined
  if (!bytesEqual(transactionListRoot(transactions), header.txRoot)) return undefined
  if (!isJustificationOf(header, justification)) return undefined
  return {
    height: header.height,
    hash,
    block: bytes,
    justification: JustificationType.serialize(justification),
    certificate: CertificateType.serialize(certificate),
    reproposals:
      reproposals.length === 0 ? new Uint8Array(0) : ReproposalsType.serialize(reproposals),
    transactionIds: transactions.map((transaction) => bytesToHex(transactionId(transaction))),
    // They follow from executing the block, which stands on a state that is not here.
    receipts: [],
  }
}

/**
 * Writes the database aside and renames it into place. A crash before the rename leaves a chain
 * that is empty and a shelf that is whole: the next start writes it again.
 */
async function replaceDatabase(
  { genesis, folder, shelf }: JoinOptions,
  header: Header,
  branch: ProvenBranch,
  checkpoint: CommittedBlock,
): Promise<void> {
  const building = join(folder, 'chain.new')
  await rm(building, { recursive: true, force: true })
  await LevelStore.restore(building, {
    blocks: [genesisBlock(genesis), checkpoint],
    epochProofs: branch.proofs.slice(0, header.epoch).map((bytes, i) => ({ epoch: i + 1, bytes })),
    state: snapshotEntries(shelf, header),
  })
  await rm(join(folder, 'chain'), { recursive: true, force: true })
  await rename(building, join(folder, 'chain'))
}
