import type { Result } from '../bytes/result.ts'
import { type AuxPow, bitcoinHeaderHash, readAuxPow, writeAuxPow } from './aux-pow.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'

/** The part of a header that is hashed. */
export const HEADER_BYTES = 84
/** The byte that ends a header on the wire. */
const HEADER_END = 1

export interface MainHeader {
  readonly version: number
  readonly previous: InternalHash
  readonly merkleRoot: InternalHash
  /** Seconds since 1970, as the miner claims. */
  readonly timestamp: number
  /** Compact form of the target that the Bitcoin parent header must meet. */
  readonly bits: number
  readonly nonce: number
  readonly height: number
}

/** A header with its proof of work and the hashes that follow from both. */
export interface DecodedHeader {
  readonly header: MainHeader
  readonly auxPow: AuxPow
  /** Hash of the 84 bytes: the main-chain block hash. */
  readonly hash: InternalHash
  /** Hash of the Bitcoin header that carries the work; what is compared with the target. */
  readonly bitcoinParentHash: InternalHash
  /** Bytes read: 84, the AuxPow and the ending byte. */
  readonly length: number
}

export function readHeader(reader: ByteReader): MainHeader {
  return {
    version: reader.u32(),
    previous: reader.hash(),
    merkleRoot: reader.hash(),
    timestamp: reader.u32(),
    bits: reader.u32(),
    nonce: reader.u32(),
    height: reader.u32(),
  }
}

function writeHeader(writer: ByteWriter, header: MainHeader): void {
  writer.u32(header.version).fixed(header.previous).fixed(header.merkleRoot)
  writer.u32(header.timestamp).u32(header.bits).u32(header.nonce).u32(header.height)
}

/** Decodes exactly 84 bytes. */
export function decodeHeader(bytes: Uint8Array): Result<MainHeader> {
  const reader = new ByteReader(bytes)
  return reader.result(readHeader(reader))
}

export function encodeHeader(header: MainHeader): Uint8Array {
  const writer = new ByteWriter(HEADER_BYTES)
  writeHeader(writer, header)
  return writer.finish()
}

export function headerHash(header: MainHeader): InternalHash {
  return doubleHash(encodeHeader(header))
}

export function readHeaderWithAuxPow(reader: ByteReader): DecodedHeader {
  const start = reader.offset
  const header = readHeader(reader)
  const hash = doubleHash(reader.since(start))
  const auxPow = readAuxPow(reader)
  if (reader.u8() !== HEADER_END) {
    reader.fail('MAIN_HEADER_END', 'a header on the wire ends with the byte 1')
  }
  const bitcoinParentHash = bitcoinHeaderHash(auxPow)
  return { header, auxPow, hash, bitcoinParentHash, length: reader.offset - start }
}

/**
 * Decodes a header with its AuxPow from the start of `bytes`, which may be a whole block; the
 * caller that wants nothing after it compares `length`. Checks no rule.
 */
export function decodeHeaderWithAuxPow(bytes: Uint8Array): Result<DecodedHeader> {
  const reader = new ByteReader(bytes)
  return reader.prefixResult(readHeaderWithAuxPow(reader))
}

export function writeHeaderWithAuxPow(
  writer: ByteWriter,
  header: MainHeader,
  auxPow: AuxPow,
): void {
  writeHeader(writer, header)
  writeAuxPow(writer, auxPow)
  writer.u8(HEADER_END)
}

export function encodeHeaderWithAuxPow(header: MainHeader, auxPow: AuxPow): Uint8Array {
  const writer = new ByteWriter(512)
  writeHeaderWithAuxPow(writer, header, auxPow)
  return writer.finish()
}
