import { assert } from '../bytes/assert.ts'
import type { Result } from '../bytes/result.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'
import {
  type MainOutput,
  OUTPUT_BYTES_MIN,
  readOutput,
  TYPED_OUTPUTS_VERSION,
  writeOutput,
} from './transaction-output.ts'
import {
  type MainPayload,
  readPayload,
  VAR_STRING_BYTES_MAX,
  writePayload,
} from './transaction-payload.ts'

/** What an attribute is for; no other usage exists on the wire. */
export const AttributeUsage = {
  nonce: 0x00,
  script: 0x20,
  memo: 0x81,
  description: 0x90,
  descriptionUrl: 0x91,
  confirmations: 0x92,
} as const
const ATTRIBUTE_USAGES: ReadonlySet<number> = new Set(Object.values(AttributeUsage))

const INPUT_BYTES = 32 + 2 + 4
const LIST_MAX = 0xffff
/** Caps of the reference node. */
const PROGRAM_CODE_BYTES_MAX = 10_000
const PROGRAM_PARAMETER_BYTES_MAX = 20_000

export interface Attribute {
  readonly usage: number
  readonly data: Uint8Array
}

export interface MainInput {
  readonly transactionId: InternalHash
  readonly index: number
  readonly sequence: number
}

export interface Program {
  /** What the code is fed with: signatures. */
  readonly parameter: Uint8Array
  readonly code: Uint8Array
}

export interface MainTransaction {
  /** 0, or 9 and above; decides whether outputs are typed. */
  readonly version: number
  readonly type: number
  readonly payloadVersion: number
  readonly payload: MainPayload
  readonly attributes: readonly Attribute[]
  readonly inputs: readonly MainInput[]
  readonly outputs: readonly MainOutput[]
  readonly lockTime: number
  readonly programs: readonly Program[]
}

/**
 * Which chain a transaction belongs to. Classic side chains write no version byte and no
 * output types, whatever the first byte is.
 */
export type Dialect = 'main' | 'side'

/** A transaction with the bytes it came from, so that nobody encodes twice. */
export interface DecodedTransaction {
  readonly transaction: MainTransaction
  readonly id: InternalHash
  /** Everything before the programs: what is hashed and signed. */
  readonly unsigned: Uint8Array
  readonly raw: Uint8Array
}

/** Decodes exactly one transaction; never more memory than a small multiple of the input. */
export function decodeTransaction(
  bytes: Uint8Array,
  dialect: Dialect = 'main',
): Result<DecodedTransaction> {
  const reader = new ByteReader(bytes)
  return reader.result(readTransaction(reader, dialect))
}

export function readTransaction(reader: ByteReader, dialect: Dialect = 'main'): DecodedTransaction {
  const start = reader.offset
  const first = reader.u8()
  const versioned = dialect === 'main' && first >= TYPED_OUTPUTS_VERSION
  const version = versioned ? first : 0
  const type = versioned ? reader.u8() : first
  const payloadVersion = reader.u8()
  const payload = readPayload(reader, type, payloadVersion)
  const attributes = readAttributes(reader)
  const inputs = readInputs(reader)
  const outputCount = reader.count(LIST_MAX, OUTPUT_BYTES_MIN)
  const outputs: MainOutput[] = []
  for (let i = 0; i < outputCount && !reader.failed; i++) {
    outputs.push(readOutput(reader, version >= TYPED_OUTPUTS_VERSION))
  }
  const lockTime = reader.u32()
  const unsigned = reader.since(start)
  const programs = readPrograms(reader)
  const transaction: MainTransaction = {
    version,
    type,
    payloadVersion,
    payload,
    attributes,
    inputs,
    outputs,
    lockTime,
    programs,
  }
  return { transaction, id: doubleHash(unsigned), unsigned, raw: reader.since(start) }
}

function readAttributes(reader: ByteReader): Attribute[] {
  const count = reader.count(LIST_MAX, 2)
  const attributes: Attribute[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    const usage = reader.u8()
    if (!reader.failed && !ATTRIBUTE_USAGES.has(usage)) {
      reader.fail(
        'MAIN_ATTRIBUTE_UNKNOWN',
        `attribute usage 0x${usage.toString(16)} does not exist`,
      )
    }
    attributes.push({ usage, data: reader.varBytes(VAR_STRING_BYTES_MAX) })
  }
  return attributes
}

/** A list of inputs as it stands in a transaction. */
export function readInputs(reader: ByteReader): MainInput[] {
  const count = reader.count(LIST_MAX, INPUT_BYTES)
  const inputs: MainInput[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    inputs.push({ transactionId: reader.hash(), index: reader.u16(), sequence: reader.u32() })
  }
  return inputs
}

function readPrograms(reader: ByteReader): Program[] {
  const count = reader.count(LIST_MAX, 2)
  const programs: Program[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    programs.push({
      parameter: reader.varBytes(PROGRAM_PARAMETER_BYTES_MAX),
      code: reader.varBytes(PROGRAM_CODE_BYTES_MAX),
    })
  }
  return programs
}

/** The part that is hashed and signed. */
export function encodeUnsignedTransaction(
  transaction: MainTransaction,
  dialect: Dialect = 'main',
): Uint8Array {
  const writer = new ByteWriter()
  writeUnsigned(writer, transaction, dialect)
  return writer.finish()
}

export function encodeTransaction(
  transaction: MainTransaction,
  dialect: Dialect = 'main',
): Uint8Array {
  const writer = new ByteWriter()
  writeUnsigned(writer, transaction, dialect)
  writer.varUint(transaction.programs.length)
  for (const program of transaction.programs) {
    writer.varBytes(program.parameter).varBytes(program.code)
  }
  return writer.finish()
}

/** SHA-256 twice over the unsigned part; signatures do not change it. */
export function transactionId(
  transaction: MainTransaction,
  dialect: Dialect = 'main',
): InternalHash {
  return doubleHash(encodeUnsignedTransaction(transaction, dialect))
}

function writeUnsigned(writer: ByteWriter, transaction: MainTransaction, dialect: Dialect): void {
  const { version, type } = transaction
  const typed = version >= TYPED_OUTPUTS_VERSION
  if (typed) {
    assert(dialect === 'main', 'a side-chain transaction has no version')
    writer.u8(version)
  } else {
    assert(version === 0, 'a version below 9 cannot be written')
    assert(dialect === 'side' || type < TYPED_OUTPUTS_VERSION, 'this type needs version 9')
  }
  writer.u8(type).u8(transaction.payloadVersion)
  writePayload(writer, transaction.payload)
  writer.varUint(transaction.attributes.length)
  for (const attribute of transaction.attributes) {
    assert(ATTRIBUTE_USAGES.has(attribute.usage), 'attribute usage does not exist')
    writer.u8(attribute.usage).varBytes(attribute.data)
  }
  writer.varUint(transaction.inputs.length)
  for (const input of transaction.inputs) {
    writer.fixed(input.transactionId).u16(input.index).u32(input.sequence)
  }
  writer.varUint(transaction.outputs.length)
  for (const output of transaction.outputs) writeOutput(writer, output, typed)
  writer.u32(transaction.lockTime)
}
