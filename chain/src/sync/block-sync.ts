import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { isCheckpointHeight } from '../params/network-params.ts'
import { BLOCK_BYTES_MAX, BlockBodyType, BlockType, blockHash } from '../types/block.ts'
import { type Certificate, CertificateType, JustificationType } from '../types/consensus-objects.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { BlockEnvelope } from '../driver/block-host.ts'
import type { ChainStore } from '../manager/chain-store.ts'
import {
  SYNC_ANSWER_BYTES_MAX,
  SYNC_BLOCKS_MAX,
  SYNC_FRAME_BYTES_MAX,
  SYNC_REQUEST_BYTES_MAX,
  SyncAnswerType,
  type SyncBlock,
  SyncBlockType,
  SyncRequestKind,
  type SyncRequest,
  SyncRequestType,
  type Status,
} from './sync-messages.ts'

/** The peers that can be asked for blocks. */
export interface SyncPeers {
  peers(): readonly string[]
  /** Rejects on time-out or disconnect. */
  ask(peer: string, request: Uint8Array, answerBytesMax: number): Promise<Uint8Array>
}

/** Checks a finality certificate under the validator set of its epoch. */
export type FinalityCheck = (certificate: Certificate) => boolean

export interface BlockSyncOptions {
  readonly manager: ChainManager
  readonly peers: SyncPeers
  readonly isFinal: FinalityCheck
  /** Runs an import while consensus stands still. */
  readonly exclusively: (importBlocks: () => Promise<void>) => Promise<void>
  readonly onProgress?: (height: number, target: number) => void
}

/** A run of blocks from one answer, proven: linked, and the last one certified final. */
interface ProvenRange {
  readonly blocks: readonly BlockEnvelope[]
  readonly certificate: Certificate
}

/**
 * Catching up by certified ranges: one certificate proves the last block of a range, hash links
 * prove the rest, execution proves the content. Also answers peers that catch up.
 */
export class BlockSync {
  readonly #options: BlockSyncOptions
  #running: Promise<boolean> | undefined

  constructor(options: BlockSyncOptions) {
    this.#options = options
  }

  /**
   * Downloads and commits until no connected peer is `leastLead` blocks ahead. Resolves to whether
   * the head moved. Overlapping calls share one run. An import interrupts consensus, so whoever
   * merely looks around asks for a lead that consensus would not close by itself.
   */
  catchUp(leastLead = 1): Promise<boolean> {
    this.#running ??= this.#run(leastLead).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Answers a peer's question; an unreadable one gets our status only. */
  async answer(requestBytes: Uint8Array): Promise<Uint8Array> {
    const request = decodeCanonical(SyncRequestType, requestBytes, SYNC_REQUEST_BYTES_MAX)
    const blocks = request.ok ? await this.#blocksFor(request.value) : []
    return SyncAnswerType.serialize({ status: this.#status(), blocks })
  }

  async #run(leastLead: number): Promise<boolean> {
    const { manager, peers } = this.#options
    const start = manager.final.header.height
    for (const peer of peers.peers()) {
      try {
        while (await this.#advanceFrom(peer, leastLead));
      } catch {
        // A peer that fails or lies is left for the next one; it is asked again another time.
      }
    }
    return manager.final.header.height > start
  }

  /** One range from one peer; true if there is more to ask it for. */
  async #advanceFrom(peer: string, leastLead: number): Promise<boolean> {
    const { manager, peers, onProgress, exclusively } = this.#options
    const from = manager.final.header.height + 1
    const request = { kind: SyncRequestKind.range, from, count: SYNC_BLOCKS_MAX, hash: ZERO_HASH }
    const bytes = await peers.ask(peer, SyncRequestType.serialize(request), SYNC_FRAME_BYTES_MAX)
    const answer = decodeCanonical(SyncAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
    if (!answer.ok || answer.value.blocks.length === 0) return false
    const { status } = answer.value
    if (!bytesEqual(status.chainId, manager.chainId)) return false
    if (status.height < manager.final.header.height + leastLead) return false
    const ranges = this.#prove(answer.value.blocks)
    if (!ranges.ok) return false
    let done = true
    await exclusively(async () => {
      // Consensus may have moved the head while the answer travelled.
      if (manager.final.header.height + 1 !== from) return
      for (const range of ranges.value) done &&= await importRange(manager, range)
    })
    onProgress?.(manager.final.header.height, status.height)
    return done && manager.final.header.height < status.height
  }

  /**
   * Splits an answer at checkpoints, whose certificates the next epoch starts from, and checks
   * one certificate per part.
   */
  #prove(answer: readonly SyncBlock[]): Result<ProvenRange[]> {
    const { manager, isFinal } = this.#options
    const ranges: ProvenRange[] = []
    let blocks: BlockEnvelope[] = []
    let parentHash = blockHash(manager.final.header)
    for (const [at, part] of answer.entries()) {
      const envelope = decodeEnvelope(part)
      if (!envelope.ok) return envelope
      const { header, hash } = envelope.value
      if (!bytesEqual(header.parentHash, parentHash)) {
        return fault('SYNC_UNLINKED', 'a block does not stand on the one before it')
      }
      parentHash = blockHash(header)
      blocks.push(envelope.value)
      const last = at === answer.length - 1
      if (!last && !isCheckpointHeight(manager.params, header.height)) continue
      const [certificate] = part.certificate
      if (!certificate || bytesToHex(certificate.statement.hash) !== hash) {
        return fault('SYNC_UNCERTIFIED', 'a range and an epoch must end with a certified block')
      }
      if (!isFinal(certificate)) return fault('SYNC_CERTIFICATE', 'a certificate does not verify')
      ranges.push({ blocks, certificate })
      blocks = []
    }
    return ok(ranges)
  }

  #status(): Status {
    const { header } = this.#options.manager.final
    return {
      chainId: this.#options.manager.chainId,
      height: header.height,
      hash: blockHash(header),
      epoch: header.epoch,
    }
  }

  async #blocksFor(request: SyncRequest): Promise<SyncBlock[]> {
    const { store } = this.#options.manager
    if (request.kind === SyncRequestKind.range) {
      return rangeFrom(store, request.from, Math.min(request.count, SYNC_BLOCKS_MAX))
    }
    if (request.kind !== SyncRequestKind.byHash) return []
    const height = await store.heightOf(bytesToHex(request.hash))
    const block = height === undefined ? undefined : await syncBlock(store, height)
    return block ? [block] : []
  }
}

function decodeEnvelope({ block, justification }: SyncBlock): Result<BlockEnvelope> {
  const decoded = decodeCanonical(BlockType, block, BLOCK_BYTES_MAX)
  if (!decoded.ok) return decoded
  const { header, body } = decoded.value
  const hash = bytesToHex(blockHash(header))
  return ok({ hash, header, justification, body: BlockBodyType.serialize(body) })
}

/** Executes and commits a proven range; false if its content breaks a rule. */
async function importRange(manager: ChainManager, range: ProvenRange): Promise<boolean> {
  for (const block of range.blocks) {
    const { verdict } = await manager.validateBlock(block)
    if (verdict === 'invalid') return false
  }
  await manager.commitBlocks({ ...range, reproposals: [] })
  return true
}

/** Stored blocks from a height on, up to the last certified one that fits the bounds. */
async function rangeFrom(store: ChainStore, from: number, count: number): Promise<SyncBlock[]> {
  const blocks: SyncBlock[] = []
  let bytes = 0
  let certified = 0
  for (let height = from; height < from + count; height++) {
    const block = await syncBlock(store, height)
    if (!block) break
    bytes += SyncBlockType.serialize(block).length
    if (bytes > SYNC_ANSWER_BYTES_MAX && certified > 0) break
    blocks.push(block)
    if (block.certificate.length > 0) certified = blocks.length
  }
  return blocks.slice(0, certified)
}

async function syncBlock(store: ChainStore, height: number): Promise<SyncBlock | undefined> {
  const stored = await store.block(height)
  if (!stored || height === 0) return undefined
  const { certificate } = stored
  return {
    block: stored.block,
    justification: JustificationType.deserialize(stored.justification),
    certificate: certificate ? [CertificateType.deserialize(certificate)] : [],
  }
}
