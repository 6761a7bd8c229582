import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { bytesEqual, bytesToHex, fromHex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { FinalBlock } from '../consensus/machine-interface.ts'
import type {
  ChainStore,
  ReceiptPosition,
  StoredBlock,
  StoredPrunedBlock,
} from '../manager/chain-store.ts'
import { epochProofOf } from '../manager/epoch-proof-builder.ts'
import {
  checkpointHeight,
  isCheckpointHeight,
  type NetworkParams,
} from '../params/network-params.ts'
import {
  CertificateType,
  type Header,
  JustificationType,
  ReproposalsType,
} from '../types/consensus-objects.ts'
import { BLOCK_BYTES_MAX, BlockBodyType, BlockType } from '../types/block.ts'
import { rootOfReceipts } from '../types/receipt-roots.ts'
import { transactionId } from '../types/transaction-codec.ts'
import type { Transaction } from '../types/transactions.ts'
import {
  type BlockCheckContext,
  type CheckedBlock,
  checkPrunedBlock,
  checkStoredBlock,
} from './block-check.ts'
import type { SyncPeers } from './sync-peers.ts'
import { decodeEpochProof } from './epoch-proofs.ts'
import {
  SYNC_FRAME_BYTES_MAX,
  SyncAnswerType,
  type SyncBlock,
  SyncRequestKind,
  syncRequest,
} from './sync-messages.ts'

export interface BlockScrubberOptions extends BlockCheckContext {
  readonly store: ChainStore
  readonly params: NetworkParams
  /** The newest final block; what a pass starts from is trusted. */
  readonly final: () => FinalBlock
  readonly peers: SyncPeers
  /** While true nothing is read: the disk is needed for something better. */
  readonly isBusy?: () => boolean
  readonly logger: Logger
}

export interface ScrubStatus {
  /** Blocks read and checked since the start. */
  readonly checked: number
  /** Whole passes from a tip down to the first block. */
  readonly passes: number
  /** Blocks, epoch proofs and indexes written anew. */
  readonly repaired: number
  /** Heights of blocks that no peer gave yet, or whose receipts are damaged. */
  readonly damaged: readonly number[]
}

/** One turn a second: 16 blocks of a set of 36 are about 15 ms of signatures. */
const TURN_MS = 1000
const TURN_BLOCKS = 16
/** Rest after a pass: a short chain is not read over and over, from the first minute on. */
const REST_MS = 60 * 60_000
const TURN_BYTES = 1024 * 1024
/** More damaged blocks than this wait for the next pass. */
const WANTED_MAX = 1024

/** What is left to do of a pass: the next height down, and the hash that its child names. */
interface Place {
  readonly height: number
  readonly hash: Uint8Array
}

/**
 * Reads the final chain again, slowly, from the tip down: each block by the hash in its child, so
 * that nothing in the database is believed. A damaged one is fetched from the peers by that hash
 * and written anew. Receipts cannot be fetched: they are only reported.
 */
export class BlockScrubber {
  readonly #options: BlockScrubberOptions
  readonly #damaged = new Set<number>()
  /** Hashes of blocks that no peer gave yet, by height: asked for again before the pass is over. */
  readonly #wanted = new Map<number, Uint8Array>()
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #place: Place | undefined
  #checked = 0
  #passes = 0
  #repaired = 0

  constructor(options: BlockScrubberOptions) {
    this.#options = options
  }

  get status(): ScrubStatus {
    const damaged = [...this.#damaged].sort((a, b) => a - b)
    return { checked: this.#checked, passes: this.#passes, repaired: this.#repaired, damaged }
  }

  /** How long until the next turn. */
  get pauseMs(): number {
    const isOver = this.#place === undefined && this.#passes > 0
    return isOver && this.#wanted.size === 0 ? REST_MS : TURN_MS
  }

  /** Begins to work in the background. `suspects` are heights that a start found damaged. */
  start(suspects: readonly number[] = []): void {
    for (const height of suspects) this.#damaged.add(height)
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  /** One turn: some blocks further down; a new pass begins where the last one ended. */
  async turn(): Promise<void> {
    const [missing] = this.#wanted
    if (missing) await this.#askAgain({ height: missing[0], hash: missing[1] })
    let bytes = 0
    for (let blocks = 0; blocks < TURN_BLOCKS && bytes < TURN_BYTES; blocks++) {
      this.#place ??= this.#top()
      bytes += await this.#scrub(this.#place)
      if (this.#place === undefined || this.#stopping.signal.aborted) return
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { isBusy, logger } = this.#options
    try {
      for (;;) {
        await setTimeout(this.pauseMs, undefined, { signal, ref: false })
        if (!isBusy?.()) await this.turn()
      }
    } catch (error) {
      if (!signal.aborted) logger.error({ error }, 'the chain on disk is not checked any more')
    }
  }

  async #askAgain(place: Place): Promise<void> {
    this.#wanted.delete(place.height)
    const whole = await this.#restore(place)
    if (whole) await this.#checkBeside(whole)
  }

  #top(): Place {
    const { hash, header } = this.#options.final()
    return { height: header.height, hash: fromHex(hash) }
  }

  /** Checks one block and moves on; gives the bytes read. */
  async #scrub(place: Place): Promise<number> {
    const { store } = this.#options
    const { height, hash } = place
    const stored = await readable(store.block(height))
    const pruned = stored ? undefined : await readable(store.prunedBlock(height))
    const kept = pruned && checkPrunedBlock(pruned, hash, this.#options)
    if (pruned && kept?.ok) return this.#passPruned(place, pruned, kept.value.header)
    const whole = (stored && this.#whole(stored, hash)) ?? (await this.#restore(place))
    this.#checked += 1
    if (whole) await this.#checkBeside(whole)
    await this.#moveOn(place, whole?.header)
    return stored?.block.length ?? 0
  }

  /** A block whose openings are gone is as good as it will ever be again. */
  async #passPruned(place: Place, { pruned }: StoredPrunedBlock, header: Header): Promise<number> {
    this.#checked += 1
    this.#damaged.delete(place.height)
    await this.#checkReceipts(header)
    await this.#moveOn(place, header)
    return pruned.length
  }

  async #moveOn(place: Place, header: Header | undefined): Promise<void> {
    const isLast = place.height <= Math.max(1, await this.#options.store.firstHeight())
    if (isLast) this.#passes += 1
    this.#place = isLast ? undefined : await this.#below(place, header)
  }

  /** Where nobody has the block, its own store says which one stands below; else a new pass. */
  async #below({ height }: Place, header: Header | undefined): Promise<Place | undefined> {
    const hash = header?.parentHash ?? (await readable(this.#options.store.hashAt(height - 1)))
    return hash && { height: height - 1, hash }
  }

  /** From a peer, whoever has it whole. */
  async #restore({ height, hash }: Place): Promise<WholeBlock | undefined> {
    const { logger } = this.#options
    if (!this.#damaged.has(height)) logger.error({ height }, 'a block on disk is damaged')
    this.#damaged.add(height)
    const whole = await this.#fetch(height, hash)
    if (!whole) {
      if (this.#wanted.size < WANTED_MAX) this.#wanted.set(height, hash)
      return undefined
    }
    await this.#write(whole)
    this.#damaged.delete(height)
    this.#wanted.delete(height)
    logger.warn({ height }, 'a damaged block was fetched again')
    return whole
  }

  #whole(stored: StoredBlock, hash: Uint8Array): WholeBlock | undefined {
    const checked = checkStoredBlock(stored, hash, this.#options)
    return checked.ok ? { stored, ...checked.value } : undefined
  }

  async #fetch(height: number, hash: Uint8Array): Promise<WholeBlock | undefined> {
    const { peers, params } = this.#options
    const request = syncRequest(SyncRequestKind.byHash, { hash })
    for (const peer of peers.peers()) {
      const bytes = await readable(peers.ask(peer, request, SYNC_FRAME_BYTES_MAX))
      const answer = bytes && decodeCanonical(SyncAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
      const block = answer?.ok ? answer.value.blocks[0] : undefined
      const whole = block && this.#whole(storedFrom(block, height, hash), hash)
      // The next epoch starts on a checkpoint: only a certificate ends this one.
      const isEnough = whole?.certificate ?? !isCheckpointHeight(params, height)
      if (whole && isEnough) return whole
    }
    return undefined
  }

  async #write({ stored, transactionIds }: WholeBlock): Promise<void> {
    const ids = transactionIds.map((id) => bytesToHex(id))
    await this.#options.store.repair({ block: { ...stored, transactionIds: ids } })
    this.#repaired += 1
  }

  /** What is kept beside a block that is whole: its indexes, its receipts, its epoch's proof. */
  async #checkBeside(whole: WholeBlock): Promise<void> {
    const { params, logger } = this.#options
    const { header } = whole
    if (!(await this.#isIndexed(whole))) {
      logger.error({ height: header.height }, 'an index of a block was damaged: written anew')
      await this.#write(whole)
    }
    await this.#checkReceipts(header)
    if (isCheckpointHeight(params, header.height)) await this.#checkEpochProof(whole)
  }

  async #checkReceipts(header: Header): Promise<void> {
    const { height } = header
    if (await this.#hasReceipts(header)) {
      this.#damaged.delete(height)
      return
    }
    const isNew = !this.#damaged.has(height)
    if (isNew) this.#options.logger.error({ height }, 'receipts on disk are damaged: sync afresh')
    this.#damaged.add(height)
  }

  async #isIndexed({ stored, transactionIds }: WholeBlock): Promise<boolean> {
    const { store } = this.#options
    const { height, hash } = stored
    const at = await readable(store.heightOf(bytesToHex(hash)))
    const hashAt = await readable(store.hashAt(height))
    if (at !== height || !hashAt || !bytesEqual(hashAt, hash)) return false
    for (const [index, id] of transactionIds.entries()) {
      const place = await readable(store.transaction(bytesToHex(id)))
      const isHere = place?.height === height && place.index === index
      if (!isHere && !(place && place.height > height && (await this.#holds(place, id))))
        return false
    }
    return true
  }

  /** Without a nonce a transaction may stand in two blocks; its index names the later one. */
  async #holds({ height, index }: ReceiptPosition, id: Uint8Array): Promise<boolean> {
    const stored = await readable(this.#options.store.block(height))
    if (!stored) return false
    const block = decodeCanonical(BlockType, stored.block, BLOCK_BYTES_MAX)
    const found = block.ok ? block.value.body.transactions[index] : undefined
    return found !== undefined && bytesEqual(transactionId(found as Transaction), id)
  }

  async #hasReceipts(header: Header): Promise<boolean> {
    const { store } = this.#options
    const receipts = await readable(store.receiptsAt(header.height))
    if (receipts && bytesEqual(rootOfReceipts(receipts), header.receiptRoot)) return true
    // Of the block that a snapshot is of nobody gave us any.
    return receipts?.length === 0 && header.height === (await store.firstHeight())
  }

  async #checkEpochProof({ stored, header, certificate }: WholeBlock): Promise<void> {
    const { store, params, validatorsOf, logger } = this.#options
    const { epoch, height } = header
    const bytes = await readable(store.epochProof(epoch))
    const proof = bytes && decodeEpochProof(bytes)
    const from = checkpointHeight(params, epoch - 1)
    const nextValidators = validatorsOf(epoch + 1)
    const canBuild = from >= (await store.firstHeight()) && nextValidators && certificate
    if (!canBuild) return
    const hash = bytesToHex(stored.hash)
    const reproposals =
      stored.reproposals.length > 0 ? ReproposalsType.deserialize(stored.reproposals) : []
    const justification = JustificationType.deserialize(stored.justification)
    const body = BlockBodyType.serialize(BlockType.deserialize(stored.block).body)
    const commit = { blocks: [{ hash, header, justification, body }], certificate, reproposals }
    const rebuilt = await epochProofOf({ params, store, commit, nextValidators })
    if (!rebuilt || (proof?.ok && bytes && bytesEqual(bytes, rebuilt.bytes))) return
    logger.error({ epoch, height }, 'an epoch proof was damaged: written anew')
    await store.repair({ epochProof: rebuilt })
    this.#repaired += 1
  }
}

interface WholeBlock extends CheckedBlock {
  readonly stored: StoredBlock
}

/** LevelDB tells of some damage by an error where it reads; peers fail in their own ways. */
function readable<T>(read: Promise<T>): Promise<T | undefined> {
  return read.catch(() => undefined)
}

function storedFrom(block: SyncBlock, height: number, hash: Uint8Array): StoredBlock {
  const [certificate] = block.certificate
  return {
    height,
    hash,
    block: block.block,
    justification: JustificationType.serialize(block.justification),
    certificate: certificate && CertificateType.serialize(certificate),
    reproposals:
      block.reproposals.length > 0
        ? ReproposalsType.serialize(block.reproposals)
        : new Uint8Array(0),
  }
}
