import { assert } from '../bytes/assert.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'
import { VAR_STRING_BYTES_MAX } from './transaction-payload.ts'

export const PROGRAM_HASH_BYTES = 21
/** An output without type and payload: asset, value, lock, program hash. */
export const OUTPUT_BYTES_MIN = 32 + 8 + 4 + PROGRAM_HASH_BYTES
/** From this transaction version on, outputs carry a type and a payload. */
export const TYPED_OUTPUTS_VERSION = 9

/** Wire value of each output type that this codec knows. */
const OutputKind = {
  none: 0,
  vote: 1,
  mapping: 2,
  crossChain: 3,
  withdraw: 4,
  returnDeposit: 5,
  dposVote: 6,
  stake: 7,
} as const

const TARGET_DATA_BYTES_MAX = 1024
const CODE_BYTES_MAX = 34_003
const SIDE_PRODUCER_BYTES_MAX = 256
const SIGNATURE_BYTES_MAX = 64
const LIST_MAX = 0xffff
/** From this version of a vote output on, each candidate carries its own amount. */
const VOTE_VERSION_WITH_AMOUNTS = 1

export interface VoteContent {
  readonly voteType: number
  readonly candidates: readonly { readonly candidate: Uint8Array; readonly votes: bigint }[]
}

export type OutputPayload =
  | { readonly kind: 'none' }
  | {
      /** Votes for producers and council, or (type 6) those of staked coins. */
      readonly kind: 'vote' | 'dpos-vote'
      readonly version: number
      readonly contents: readonly VoteContent[]
    }
  | {
      readonly kind: 'mapping'
      readonly version: number
      readonly ownerKey: Uint8Array
      readonly sideProducerId: Uint8Array
      readonly signature: Uint8Array
    }
  | {
      readonly kind: 'cross-chain'
      readonly version: number
      readonly targetAddress: string
      readonly targetAmount: bigint
      readonly targetData: Uint8Array
    }
  | {
      readonly kind: 'withdraw'
      readonly version: number
      readonly genesisAddress: string
      readonly sideTransactionHash: InternalHash
      readonly targetData: Uint8Array
    }
  | {
      readonly kind: 'return-deposit'
      readonly version: number
      readonly genesisAddress: string
      readonly depositHash: InternalHash
    }
  | { readonly kind: 'stake'; readonly version: number; readonly stakeProgramHash: Uint8Array }

/** The number of each kind of payload on the wire. */
export const outputKindNumbers: Record<OutputPayload['kind'], number> = {
  none: OutputKind.none,
  vote: OutputKind.vote,
  mapping: OutputKind.mapping,
  'cross-chain': OutputKind.crossChain,
  withdraw: OutputKind.withdraw,
  'return-deposit': OutputKind.returnDeposit,
  'dpos-vote': OutputKind.dposVote,
  stake: OutputKind.stake,
}

export interface MainOutput {
  readonly assetId: InternalHash
  /** Sela; signed on the wire, so whoever adds values up must refuse negative ones. */
  readonly value: bigint
  readonly outputLock: number
  /** Prefix byte and 20-byte hash of the code that may spend it. */
  readonly programHash: Uint8Array
  /** Always `none` below transaction version 9. */
  readonly payload: OutputPayload
}

const NO_PAYLOAD: OutputPayload = { kind: 'none' }

export function readOutput(reader: ByteReader, typed: boolean): MainOutput {
  return {
    assetId: reader.hash(),
    value: reader.i64(),
    outputLock: reader.u32(),
    programHash: reader.fixed(PROGRAM_HASH_BYTES),
    payload: typed ? readOutputPayload(reader) : NO_PAYLOAD,
  }
}

export function writeOutput(writer: ByteWriter, output: MainOutput, typed: boolean): void {
  assert(output.programHash.length === PROGRAM_HASH_BYTES, 'a program hash has 21 bytes')
  assert(typed || output.payload.kind === 'none', 'an untyped output has no payload')
  writer.fixed(output.assetId).i64(output.value).u32(output.outputLock).fixed(output.programHash)
  if (!typed) return
  writer.u8(outputKindNumbers[output.payload.kind])
  writeOutputPayload(writer, output.payload)
}

function readOutputPayload(reader: ByteReader): OutputPayload {
  const type = reader.u8()
  switch (type) {
    case OutputKind.none:
      return NO_PAYLOAD
    case OutputKind.vote:
      return readVote(reader, 'vote')
    case OutputKind.dposVote:
      return readVote(reader, 'dpos-vote')
    case OutputKind.mapping:
      return {
        kind: 'mapping',
        version: reader.u8(),
        ownerKey: reader.varBytes(CODE_BYTES_MAX),
        sideProducerId: reader.varBytes(SIDE_PRODUCER_BYTES_MAX),
        signature: reader.varBytes(SIGNATURE_BYTES_MAX),
      }
    case OutputKind.crossChain:
      return {
        kind: 'cross-chain',
        version: reader.u8(),
        targetAddress: reader.byteString(VAR_STRING_BYTES_MAX),
        targetAmount: reader.i64(),
        targetData: reader.varBytes(TARGET_DATA_BYTES_MAX),
      }
    case OutputKind.withdraw:
      return {
        kind: 'withdraw',
        version: reader.u8(),
        genesisAddress: reader.byteString(VAR_STRING_BYTES_MAX),
        sideTransactionHash: reader.hash(),
        targetData: reader.varBytes(TARGET_DATA_BYTES_MAX),
      }
    case OutputKind.returnDeposit:
      return {
        kind: 'return-deposit',
        version: reader.u8(),
        genesisAddress: reader.byteString(VAR_STRING_BYTES_MAX),
        depositHash: reader.hash(),
      }
    case OutputKind.stake:
      return {
        kind: 'stake',
        version: reader.u8(),
        stakeProgramHash: reader.fixed(PROGRAM_HASH_BYTES),
      }
    default:
      reader.fail('MAIN_OUTPUT_TYPE_UNKNOWN', `output type ${type} is not known here`)
      return NO_PAYLOAD
  }
}

function readVote(reader: ByteReader, kind: 'vote' | 'dpos-vote'): OutputPayload {
  const version = reader.u8()
  const withAmounts = version >= VOTE_VERSION_WITH_AMOUNTS
  const contents: VoteContent[] = []
  const contentCount = reader.count(LIST_MAX, 2)
  for (let i = 0; i < contentCount && !reader.failed; i++) {
    const voteType = reader.u8()
    const candidates: { candidate: Uint8Array; votes: bigint }[] = []
    const candidateCount = reader.count(LIST_MAX, withAmounts ? 9 : 1)
    for (let j = 0; j < candidateCount && !reader.failed; j++) {
      const candidate = reader.varBytes(CODE_BYTES_MAX)
      candidates.push({ candidate, votes: withAmounts ? reader.i64() : 0n })
    }
    contents.push({ voteType, candidates })
  }
  return { kind, version, contents }
}

function writeOutputPayload(writer: ByteWriter, payload: OutputPayload): void {
  switch (payload.kind) {
    case 'none':
      return
    case 'vote':
    case 'dpos-vote':
      writer.u8(payload.version).varUint(payload.contents.length)
      for (const content of payload.contents) {
        writer.u8(content.voteType).varUint(content.candidates.length)
        for (const { candidate, votes } of content.candidates) {
          writer.varBytes(candidate)
          if (payload.version >= VOTE_VERSION_WITH_AMOUNTS) writer.i64(votes)
        }
      }
      return
    case 'mapping':
      writer.u8(payload.version).varBytes(payload.ownerKey)
      writer.varBytes(payload.sideProducerId).varBytes(payload.signature)
      return
    case 'cross-chain':
      writer.u8(payload.version).byteString(payload.targetAddress)
      writer.i64(payload.targetAmount).varBytes(payload.targetData)
      return
    case 'withdraw':
      writer.u8(payload.version).byteString(payload.genesisAddress)
      writer.fixed(payload.sideTransactionHash).varBytes(payload.targetData)
      return
    case 'return-deposit':
      writer.u8(payload.version).byteString(payload.genesisAddress).fixed(payload.depositHash)
      return
    case 'stake':
      writer.u8(payload.version).fixed(payload.stakeProgramHash)
  }
}
