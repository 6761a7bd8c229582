import type { Type } from '@chainsafe/ssz'
import { presets } from '@ioex/genesis/presets'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRecord, encodeRecord, ExportRecordType } from '../audit/export-format.ts'
import { bytesEqual } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { bytesNear } from '../bytes/testing/almost-bytes.ts'
import { samplesOf } from '../bytes/testing/ssz-samples.ts'
import { decodeBody } from '../manager/block-execution.ts'
import { decodeShortIds, encodeShortIds } from '../net/short-ids.ts'
import { BATCH_BYTES_MAX, decodeBatch, encodeBatches } from '../net/transaction-batch.ts'
import { decodeParams, encodeParams } from '../params/params-codec.ts'
import { decodeEpochProof } from '../sync/epoch-proofs.ts'
import {
  CHUNK_BYTES_MAX,
  InventoryChunkSliceType,
  MANIFEST_BYTES_MAX,
  RecordChunkType,
  RewardSliceType,
  SnapshotManifestType,
} from '../sync/snapshot-messages.ts'
import {
  ChunksAnswerType,
  EpochProofsAnswerType,
  FinalHeaderType,
  PlaceAnswerType,
  SnapshotsAnswerType,
  SYNC_FRAME_BYTES_MAX,
  SYNC_REQUEST_BYTES_MAX,
  SyncAnswerType,
  SyncRequestType,
} from '../sync/sync-messages.ts'
import { BlockBodyType, BlockType } from '../types/block.ts'
import { EpochProofType } from '../types/epoch-proof.ts'
import { decodeGenesis, GenesisDocumentType } from '../types/genesis-document.ts'
import { PrunedBlockType } from '../types/pruned-block.ts'
import {
  decodeTransaction,
  encodeTransaction,
  transactionDigest,
  transactionId,
  transactionRoot,
} from '../types/transaction-codec.ts'
import { PayloadType, TransactionType } from '../types/transactions.ts'

/** Inputs of each law; `npm run fuzz` sets a million. */
const RUNS = Number(process.env['IOEX_FUZZ_RUNS'] ?? 200)

interface Codec {
  readonly name: string
  /** Bytes that are right, to start changes from. */
  readonly seeds: readonly Uint8Array[]
  /** What the decoder made of the bytes, encoded again. */
  readonly recode: (bytes: Uint8Array) => Result<Uint8Array>
}

function codec<T, S>(
  name: string,
  type: Type<S>,
  decode: (bytes: Uint8Array) => Result<T>,
  encode: (value: T) => Uint8Array,
): Codec {
  return {
    name,
    seeds: samplesOf(type).map((sample) => type.serialize(sample)),
    recode(bytes) {
      const decoded = decode(bytes)
      return decoded.ok ? { ok: true, value: encode(decoded.value) } : decoded
    },
  }
}

/** A message that is its SSZ type and no more, under the bound that its reader sets. */
const message = <T>(name: string, type: Type<T>, bytesMax: number) =>
  codec(
    name,
    type,
    (bytes) => decodeCanonical(type, bytes, bytesMax),
    (value) => type.serialize(value),
  )

const codecs: readonly Codec[] = [
  codec('transaction', TransactionType, decodeTransaction, (transaction) => {
    // Whatever decodes has an id and a digest: the pool asks for both before any rule.
    transactionId(transaction)
    transactionRoot(transaction)
    transactionDigest(transaction.body, new Uint8Array(32))
    return encodeTransaction(transaction)
  }),
  codec('block body', BlockBodyType, decodeBody, (transactions) =>
    BlockBodyType.serialize({ transactions } as Parameters<typeof BlockBodyType.serialize>[0]),
  ),
  codec('epoch proof', EpochProofType, decodeEpochProof, (proof) =>
    EpochProofType.serialize(proof),
  ),
  codec('export record', ExportRecordType, decodeRecord, encodeRecord),
  codec('genesis document', GenesisDocumentType, decodeGenesis, (document) =>
    GenesisDocumentType.serialize(document),
  ),
  message('block', BlockType, SYNC_FRAME_BYTES_MAX),
  message('pruned block', PrunedBlockType, SYNC_FRAME_BYTES_MAX),
  message('sync request', SyncRequestType, SYNC_REQUEST_BYTES_MAX),
  message('sync answer', SyncAnswerType, SYNC_FRAME_BYTES_MAX),
  message('epoch proofs answer', EpochProofsAnswerType, SYNC_FRAME_BYTES_MAX),
  message('snapshots answer', SnapshotsAnswerType, SYNC_FRAME_BYTES_MAX),
  message('chunks answer', ChunksAnswerType, SYNC_FRAME_BYTES_MAX),
  message('place answer', PlaceAnswerType, SYNC_FRAME_BYTES_MAX),
  message('final header', FinalHeaderType, SYNC_FRAME_BYTES_MAX),
  message('snapshot manifest', SnapshotManifestType, MANIFEST_BYTES_MAX),
  message('record chunk', RecordChunkType, CHUNK_BYTES_MAX),
  message('inventory slice', InventoryChunkSliceType, CHUNK_BYTES_MAX),
  message('reward slice', RewardSliceType, CHUNK_BYTES_MAX),
]

function expectLaw({ recode }: Codec, bytes: Uint8Array): void {
  const recoded = recode(bytes)
  if (recoded.ok) expect(bytesEqual(recoded.value, bytes)).toBe(true)
  else expect(recoded.fault.code).toMatch(/^[A-Z][A-Z0-9_]+$/)
}

describe('codec laws of the ledger', () => {
  test.each(codecs)('$name: accepted bytes re-encode to themselves, nothing throws', (item) => {
    for (const seed of item.seeds) expectLaw(item, seed)
    expect(item.seeds.some((seed) => item.recode(seed).ok)).toBe(true)
    fc.assert(
      fc.property(bytesNear(item.seeds), (bytes) => expectLaw(item, bytes)),
      { numRuns: RUNS },
    )
  })

  test('the samples hold a transaction of every kind, and they decode', () => {
    const decoded = codecs[0]?.seeds.map((seed) => decodeTransaction(seed)) ?? []
    const kinds = decoded.map((one) => (one.ok ? one.value.body.payload.selector : -1))
    expect(new Set(kinds)).toEqual(new Set(PayloadType.types.keys()))
  })

  test('parameters: accepted bytes re-encode to themselves', () => {
    const seeds = [encodeParams(presets.ci)]
    const item = { name: 'parameters', seeds, recode: recodeParams }
    expect(recodeParams(seeds[0] as Uint8Array).ok).toBe(true)
    fc.assert(
      fc.property(bytesNear(seeds), (bytes) => expectLaw(item, bytes)),
      { numRuns: RUNS },
    )
  })

  test('a batch of transactions is none or the same again', () => {
    const seeds = [[new Uint8Array(5)], [new Uint8Array(0), new Uint8Array(300)]].flatMap((batch) =>
      encodeBatches(batch),
    )
    fc.assert(
      fc.property(bytesNear(seeds), (bytes) => {
        const batch = decodeBatch(bytes)
        if (batch.length > 0) expect(encodeBatches(batch)).toEqual([bytes])
      }),
      { numRuns: RUNS },
    )
    for (const seed of seeds) expect(decodeBatch(seed)).not.toEqual([])
    expect(decodeBatch(new Uint8Array(BATCH_BYTES_MAX + 1))).toEqual([])
  })

  test('short ids are none or the same again', () => {
    const seeds = [encodeShortIds(['0011223344556677', 'ffffffffffffffff'])]
    fc.assert(
      fc.property(bytesNear(seeds), (bytes) => {
        const ids = decodeShortIds(bytes)
        expect(ids !== undefined).toBe(bytes.length > 0 && bytes.length % 8 === 0)
        if (ids) expect(bytesEqual(encodeShortIds(ids), bytes)).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })
})

function recodeParams(bytes: Uint8Array): Result<Uint8Array> {
  const decoded = decodeParams(bytes)
  return decoded.ok ? { ok: true, value: encodeParams(decoded.value) } : decoded
}
