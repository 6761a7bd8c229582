import { bytesToHex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { ChainStore } from '../manager/chain-store.ts'
import { CertificateType, JustificationType, ReproposalsType } from '../types/consensus-objects.ts'
import { decodeEpochProof } from './epoch-proofs.ts'
import type { SnapshotShelf } from './snapshot-shelf.ts'
import {
  ChunksAnswerType,
  EpochProofsAnswerType,
  PlaceAnswerType,
  REPROPOSALS_BYTES_MAX,
  type Status,
  SYNC_ANSWER_BYTES_MAX,
  SnapshotsAnswerType,
  SYNC_BLOCKS_MAX,
  SYNC_CHUNKS_MAX,
  SYNC_PROOFS_MAX,
  SYNC_REQUEST_BYTES_MAX,
  SyncAnswerType,
  type SyncBlock,
  SyncBlockType,
  type SyncRequest,
  SyncRequestKind,
  SyncRequestType,
} from './sync-messages.ts'

export interface SyncServerParts {
  readonly store: Pick<ChainStore, 'block' | 'heightOf' | 'epochProof'>
  /** Where this node is. */
  readonly status: () => Status
  readonly shelf?: SnapshotShelf | undefined
  readonly places?: PlaceProofs | undefined
}

/** Where blocks stand in the history of later ones. */
export interface PlaceProofs {
  /** The branch of block `height` among the first `count`; undefined where it is not known. */
  branch(height: number, count: number): Promise<Uint8Array[] | undefined>
}

/** Answers peers that catch up. Every answer starts with our status and is bounded. */
export class SyncServer {
  readonly #parts: SyncServerParts

  constructor(parts: SyncServerParts) {
    this.#parts = parts
  }

  /** An unreadable question gets our status only. */
  async answer(requestBytes: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCanonical(SyncRequestType, requestBytes, SYNC_REQUEST_BYTES_MAX)
    const status = this.#parts.status()
    if (!decoded.ok) return SyncAnswerType.serialize({ status, blocks: [] })
    const request = decoded.value
    switch (request.kind) {
      case SyncRequestKind.epochProofs: {
        const proofs = await this.#proofsFrom(request)
        return EpochProofsAnswerType.serialize({ status, proofs })
      }
      case SyncRequestKind.snapshots: {
        const { shelf } = this.#parts
        const epochs = (await shelf?.epochs()) ?? []
        const manifest = (await shelf?.manifest(request.epoch)) ?? new Uint8Array(0)
        return SnapshotsAnswerType.serialize({ status, epochs, manifest })
      }
      case SyncRequestKind.chunks: {
        const chunks = await this.#chunksFrom(request)
        return ChunksAnswerType.serialize({ status, chunks })
      }
      case SyncRequestKind.place: {
        const branch = await this.#placeOf(request, status)
        return PlaceAnswerType.serialize({ status, branch })
      }
    }
    return SyncAnswerType.serialize({ status, blocks: await this.#blocksFor(request) })
  }

  async #blocksFor(request: SyncRequest): Promise<SyncBlock[]> {
    const { store } = this.#parts
    if (request.kind === SyncRequestKind.range) {
      return rangeFrom(store, request.from, Math.min(request.count, SYNC_BLOCKS_MAX))
    }
    if (request.kind !== SyncRequestKind.byHash) return []
    const height = await store.heightOf(bytesToHex(request.hash))
    const block = height === undefined ? undefined : await syncBlock(store, height)
    return block ? [block] : []
  }

  async #chunksFrom({ epoch, from, count }: SyncRequest): Promise<Uint8Array[]> {
    const { shelf } = this.#parts
    const chunks: Uint8Array[] = []
    let bytes = 0
    if (!shelf || !(await shelf.epochs()).includes(epoch)) return chunks
    for (let at = from; at < from + Math.min(count, SYNC_CHUNKS_MAX); at++) {
      const chunk = await shelf.chunk(epoch, at)
      if (!chunk) break
      bytes += chunk.length
      if (bytes > SYNC_ANSWER_BYTES_MAX && chunks.length > 0) break
      chunks.push(chunk)
    }
    return chunks
  }

  async #placeOf({ epoch, from }: SyncRequest, status: Status): Promise<Uint8Array[]> {
    const { store, places } = this.#parts
    const proof = await store.epochProof(epoch)
    const checkpoint = proof && decodeEpochProof(proof)
    if (!checkpoint?.ok) return []
    const { height } = checkpoint.value.header
    if (from >= height || height > status.height) return []
    return (await places?.branch(from, height)) ?? []
  }

  async #proofsFrom({ from, count }: SyncRequest): Promise<Uint8Array[]> {
    const proofs: Uint8Array[] = []
    let bytes = 0
    for (let epoch = from; epoch < from + Math.min(count, SYNC_PROOFS_MAX); epoch++) {
      const proof = await this.#parts.store.epochProof(epoch)
      if (!proof) break
      bytes += proof.length
      if (bytes > SYNC_ANSWER_BYTES_MAX) break
      proofs.push(proof)
    }
    return proofs
  }
}

/** Stored blocks from a height on, up to the last certified one that fits the bounds. */
async function rangeFrom(
  store: SyncServerParts['store'],
  from: number,
  count: number,
): Promise<SyncBlock[]> {
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

async function syncBlock(
  store: SyncServerParts['store'],
  height: number,
): Promise<SyncBlock | undefined> {
  const stored = await store.block(height)
  if (!stored || height === 0) return undefined
  const { certificate, reproposals } = stored
  const hasLinks = reproposals.length > 0 && reproposals.length <= REPROPOSALS_BYTES_MAX
  return {
    block: stored.block,
    justification: JustificationType.deserialize(stored.justification),
    certificate: certificate ? [CertificateType.deserialize(certificate)] : [],
    reproposals: hasLinks ? ReproposalsType.deserialize(reproposals) : [],
  }
}
