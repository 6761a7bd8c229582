import { assert, utf8ToBytes } from '@ioex/chain/bytes'
import { ROWS_PER_PASS, TABLE_BYTES } from './code-matrix.ts'

/**
 * Assembles the WebAssembly module of the erasure kernel, so that the repository needs no
 * compiler and holds no binary. One function per number of rows,
 * rowsR(tables, inputs, outputs, stride, columns, bytes): for every 16-byte vector of the
 * inputs (cell c at inputs + c·stride) and each of R output rows (at outputs + r·stride),
 * out = xor over c of swizzle(low table, low nibbles) xor swizzle(high table, high nibbles).
 * Source of the method: Plank, Greenan, Miller, "Screaming Fast Galois Field Arithmetic" (2013).
 */

/** Relaxed swizzle is one instruction less; it is exact here because indexes are below 16. */
export type Swizzle = 'simd' | 'relaxed-simd'

const VECTOR_BYTES = 16
/** Vectors of a row in flight: with 4 rows, 8 sums and 7 more values fill 16 registers. */
const VECTORS_PER_STEP = 2
/** A pass computes whole steps. */
export const STEP_BYTES = VECTOR_BYTES * VECTORS_PER_STEP
const PAGE_BYTES = 65_536

const MAGIC_AND_VERSION: Code = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
const I32 = 0x7f
const V128 = 0x7b
const LOOP = 0x03
const NO_RESULT = 0x40
const END = 0x0b
const BRANCH_IF = 0x0d

type Code = readonly number[]

function repeated(count: number, byte: number): Code {
  return Array.from({ length: count }, () => byte)
}

const localGet = (local: number): Code => [0x20, ...unsigned(local)]
const localSet = (local: number): Code => [0x21, ...unsigned(local)]
const localTee = (local: number): Code => [0x22, ...unsigned(local)]
const i32Const = (value: number): Code => [0x41, ...signed(value)]
const i32Add: Code = [0x6a]
const i32Sub: Code = [0x6b]
const i32LessUnsigned: Code = [0x49]
const load = (offset: number): Code => [0xfd, 0x00, 0x00, ...unsigned(offset)]
const store = (offset: number): Code => [0xfd, 0x0b, 0x00, ...unsigned(offset)]
const splatByte = (byte: number): Code => [0xfd, 0x0c, ...repeated(VECTOR_BYTES, byte)]
const and: Code = [0xfd, 0x4e]
const xor: Code = [0xfd, 0x51]
const shiftRight16: Code = [0xfd, ...unsigned(0x8d)]
const swizzles: Record<Swizzle, Code> = {
  simd: [0xfd, 0x0e],
  'relaxed-simd': [0xfd, ...unsigned(0x100)],
}

/** Locals: six parameters, then running pointers, then vectors. */
const TABLES = 0
const INPUTS = 1
const OUTPUTS = 2
const STRIDE = 3
const COLUMNS = 4
const BYTES = 5
const INPUTS_END = BYTES
const CELL = 6
const TABLE = 7
const COLUMNS_LEFT = 8
const POINTERS = 3
const MASK = 9
const LOW = 10
const HIGH = LOW + VECTORS_PER_STEP
const LOW_TABLE = HIGH + VECTORS_PER_STEP
const HIGH_TABLE = LOW_TABLE + 1
const SUM = HIGH_TABLE + 1

/** Bytes of the module; `memoryBytes` is the fixed size of its exported memory. */
export function kernelModule(swizzle: Swizzle, memoryBytes: number): Uint8Array {
  const pages = Math.ceil(memoryBytes / PAGE_BYTES)
  const rowCounts = Array.from({ length: ROWS_PER_PASS }, (_, i) => i + 1)
  const parameters = repeated(BYTES + 1, I32)
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(1, vector([[0x60, ...unsigned(parameters.length), ...parameters, ...vector([])]])),
    ...section(3, vector(rowCounts.map(() => [0]))),
    ...section(5, vector([[0x01, ...unsigned(pages), ...unsigned(pages)]])),
    ...section(
      7,
      vector([
        [...name('memory'), 0x02, 0],
        ...rowCounts.map((rows, i) => [...name(`rows${rows}`), 0x00, i]),
      ]),
    ),
    ...section(10, vector(rowCounts.map((rows) => functionBody(rows, swizzle)))),
  ])
}

function functionBody(rows: number, swizzle: Swizzle): Code {
  const vectors = SUM + rows * VECTORS_PER_STEP - MASK
  const locals = vector([
    [...unsigned(POINTERS), I32],
    [...unsigned(vectors), V128],
  ])
  const code = [
    ...locals,
    ...splatByte(0x0f),
    ...localSet(MASK),
    ...add(INPUTS, localGet(BYTES), INPUTS_END),
    ...loop(
      [...clearSums(rows), ...sumOverColumns(rows, swizzle), ...storeSums(rows)],
      [...localGet(INPUTS), ...localGet(INPUTS_END), ...i32LessUnsigned],
    ),
    END,
  ]
  return [...unsigned(code.length), ...code]
}

function clearSums(rows: number): Code {
  const sums = rows * VECTORS_PER_STEP
  return Array.from({ length: sums }, (_, i) => [...splatByte(0), ...localSet(SUM + i)]).flat()
}

function sumOverColumns(rows: number, swizzle: Swizzle): Code {
  const body: number[] = []
  for (let v = 0; v < VECTORS_PER_STEP; v++) {
    body.push(...localGet(CELL), ...load(v * VECTOR_BYTES), ...localTee(HIGH + v))
    body.push(...localGet(MASK), ...and, ...localSet(LOW + v))
    body.push(...localGet(HIGH + v), ...i32Const(4), ...shiftRight16)
    body.push(...localGet(MASK), ...and, ...localSet(HIGH + v))
  }
  for (let row = 0; row < rows; row++) {
    body.push(...localGet(TABLE), ...load(row * TABLE_BYTES), ...localSet(LOW_TABLE))
    body.push(...localGet(TABLE), ...load(row * TABLE_BYTES + VECTOR_BYTES))
    body.push(...localSet(HIGH_TABLE))
    for (let v = 0; v < VECTORS_PER_STEP; v++) {
      const sum = SUM + row * VECTORS_PER_STEP + v
      body.push(...localGet(LOW_TABLE), ...localGet(LOW + v), ...swizzles[swizzle])
      body.push(...localGet(HIGH_TABLE), ...localGet(HIGH + v), ...swizzles[swizzle], ...xor)
      body.push(...localGet(sum), ...xor, ...localSet(sum))
    }
  }
  body.push(...add(CELL, localGet(STRIDE), CELL))
  body.push(...add(TABLE, i32Const(rows * TABLE_BYTES), TABLE))
  return [
    ...copy(INPUTS, CELL),
    ...copy(TABLES, TABLE),
    ...copy(COLUMNS, COLUMNS_LEFT),
    ...loop(body, [
      ...localGet(COLUMNS_LEFT),
      ...i32Const(1),
      ...i32Sub,
      ...localTee(COLUMNS_LEFT),
    ]),
  ]
}

/** Stores the sums row by row, then moves both running pointers to the next step. */
function storeSums(rows: number): Code {
  const code: number[] = [...copy(OUTPUTS, CELL)]
  for (let row = 0; row < rows; row++) {
    for (let v = 0; v < VECTORS_PER_STEP; v++) {
      code.push(...localGet(CELL), ...localGet(SUM + row * VECTORS_PER_STEP + v))
      code.push(...store(v * VECTOR_BYTES))
    }
    code.push(...add(CELL, localGet(STRIDE), CELL))
  }
  code.push(...add(INPUTS, i32Const(STEP_BYTES), INPUTS))
  code.push(...add(OUTPUTS, i32Const(STEP_BYTES), OUTPUTS))
  return code
}

function copy(local: number, target: number): Code {
  return [...localGet(local), ...localSet(target)]
}

/** target = local + operand */
function add(local: number, operand: Code, target: number): Code {
  return [...localGet(local), ...operand, ...i32Add, ...localSet(target)]
}

/** Runs the body once, then again while the condition holds. */
function loop(body: Code, condition: Code): Code {
  return [LOOP, NO_RESULT, ...body, ...condition, BRANCH_IF, 0, END]
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content]
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()]
}

function name(text: string): Code {
  const bytes = utf8ToBytes(text)
  return [...unsigned(bytes.length), ...bytes]
}

/** LEB128 of a non-negative integer. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** Signed LEB128 of a non-negative integer, whose last byte must keep the sign bit clear. */
function signed(value: number): Code {
  assert(value >= 0, 'the kernel uses no negative constant')
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)]
}
