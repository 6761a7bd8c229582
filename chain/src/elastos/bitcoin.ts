import { assert } from '../bytes/assert.ts'
import type { Result } from '../bytes/result.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'

export const BITCOIN_HEADER_BYTES = 80
/** Cap of the reference node for a script, bytes. */
const SCRIPT_BYTES_MAX = 10_000
const INPUT_BYTES_MIN = 32 + 4 + 1 + 4
const OUTPUT_BYTES_MIN = 8 + 1
const LIST_MAX = 0xffff

/** A Bitcoin transaction in its non-witness form, as the parent coinbase of an AuxPow has it. */
export interface BitcoinTransaction {
  readonly version: number
  readonly inputs: readonly {
    readonly transactionId: InternalHash
    readonly index: number
    readonly script: Uint8Array
    readonly sequence: number
  }[]
  readonly outputs: readonly { readonly value: bigint; readonly script: Uint8Array }[]
  readonly lockTime: number
}

export interface BitcoinHeader {
  readonly version: number
  readonly previous: InternalHash
  readonly merkleRoot: InternalHash
  readonly timestamp: number
  readonly bits: number
  readonly nonce: number
}

export function readBitcoinTransaction(reader: ByteReader): BitcoinTransaction {
  const version = reader.i32()
  const inputs: BitcoinTransaction['inputs'][number][] = []
  const inputCount = reader.count(LIST_MAX, INPUT_BYTES_MIN)
  for (let i = 0; i < inputCount && !reader.failed; i++) {
    inputs.push({
      transactionId: reader.hash(),
      index: reader.u32(),
      script: reader.varBytes(SCRIPT_BYTES_MAX),
      sequence: reader.u32(),
    })
  }
  const outputs: BitcoinTransaction['outputs'][number][] = []
  const outputCount = reader.count(LIST_MAX, OUTPUT_BYTES_MIN)
  for (let i = 0; i < outputCount && !reader.failed; i++) {
    outputs.push({ value: reader.i64(), script: reader.varBytes(SCRIPT_BYTES_MAX) })
  }
  return { version, inputs, outputs, lockTime: reader.u32() }
}

export function decodeBitcoinTransaction(bytes: Uint8Array): Result<BitcoinTransaction> {
  const reader = new ByteReader(bytes)
  return reader.result(readBitcoinTransaction(reader))
}

export function encodeBitcoinTransaction(transaction: BitcoinTransaction): Uint8Array {
  const writer = new ByteWriter()
  writer.i32(transaction.version).varUint(transaction.inputs.length)
  for (const input of transaction.inputs) {
    writer.fixed(input.transactionId).u32(input.index).varBytes(input.script).u32(input.sequence)
  }
  writer.varUint(transaction.outputs.length)
  for (const output of transaction.outputs) writer.i64(output.value).varBytes(output.script)
  return writer.u32(transaction.lockTime).finish()
}

export function decodeBitcoinHeader(bytes: Uint8Array): Result<BitcoinHeader> {
  const reader = new ByteReader(bytes)
  return reader.result({
    version: reader.u32(),
    previous: reader.hash(),
    merkleRoot: reader.hash(),
    timestamp: reader.u32(),
    bits: reader.u32(),
    nonce: reader.u32(),
  })
}

export function encodeBitcoinHeader(header: BitcoinHeader): Uint8Array {
  const writer = new ByteWriter(BITCOIN_HEADER_BYTES)
  writer.u32(header.version).fixed(header.previous).fixed(header.merkleRoot)
  writer.u32(header.timestamp).u32(header.bits).u32(header.nonce)
  const bytes = writer.finish()
  assert(bytes.length === BITCOIN_HEADER_BYTES, 'a Bitcoin header has 80 bytes')
  return bytes
}
