import { assert } from '@ioex/chain/bytes'
import { inverse, multiply } from './galois-field.ts'

/** The field has 256 elements and a contract's slot number is a byte. */
export const TOTAL_SHARDS_MAX = 255

/** Output rows that the SIMD kernel computes in one pass over the input. */
export const ROWS_PER_PASS = 4

/** Bytes of the two nibble tables of one coefficient. */
export const TABLE_BYTES = 32

/** A matrix over GF(2^8) with what the kernels need to apply it to cells. */
export interface CodeMatrix {
  readonly rows: number
  readonly columns: number
  /** Row by row, rows x columns. */
  readonly coefficients: Uint8Array
  /**
   * Per coefficient c: c·0…c·15, then c·0x00, c·0x10…c·0xf0. Ordered by pass (ROWS_PER_PASS
   * rows, the last pass may have fewer), then column, then row of the pass: as the kernel reads.
   */
  readonly tables: Uint8Array
}

/** k data shards of n in all, as every function of this room demands. */
export function assertShards(k: number, n: number): void {
  assert(Number.isInteger(k) && Number.isInteger(n), 'shard counts are integers')
  assert(k >= 1 && k <= n && n <= TOTAL_SHARDS_MAX, `1 <= k <= n <= ${TOTAL_SHARDS_MAX}`)
}

/** Row `index` of the systematic generator: a unit row, or a Cauchy row (PROTOCOL 1.5). */
export function generatorRow(k: number, index: number): Uint8Array {
  const row = new Uint8Array(k)
  if (index < k) {
    row[index] = 1
    return row
  }
  for (let j = 0; j < k; j++) row[j] = inverse(index ^ j)
  return row
}

/** The n-k parity rows: parity row i, column j = inverse((k+i) xor j). */
export function parityMatrix(k: number, n: number): CodeMatrix {
  const rows: Uint8Array[] = []
  for (let index = k; index < n; index++) rows.push(generatorRow(k, index))
  return codeMatrix(rows, k)
}

/**
 * The matrix that computes the shards `wanted` from exactly the k shards `present`: generator
 * rows of `wanted` times the inverse of the generator rows of `present`.
 */
export function recoveryMatrix(
  k: number,
  present: readonly number[],
  wanted: readonly number[],
): CodeMatrix {
  assert(present.length === k, 'recovery starts from exactly k shards')
  const inverted = invert(present.map((index) => generatorRow(k, index)))
  const rows = wanted.map((index) => {
    const generator = generatorRow(k, index)
    const row = new Uint8Array(k)
    for (let j = 0; j < k; j++) addScaled(row, inverted[j] as Uint8Array, generator[j] as number)
    return row
  })
  return codeMatrix(rows, k)
}

/** Gauss-Jordan. Any k distinct generator rows are independent, so it always succeeds. */
function invert(rows: readonly Uint8Array[]): Uint8Array[] {
  const size = rows.length
  const left = rows.map((row) => Uint8Array.from(row))
  const right = rows.map((_, i) => {
    const unit = new Uint8Array(size)
    unit[i] = 1
    return unit
  })
  for (let column = 0; column < size; column++) {
    const pivot = left.findIndex((row, i) => i >= column && row[column] !== 0)
    assert(pivot >= 0, 'generator rows are independent')
    swap(left, column, pivot)
    swap(right, column, pivot)
    const scale = inverse((left[column] as Uint8Array)[column] as number)
    scaleRow(left[column] as Uint8Array, scale)
    scaleRow(right[column] as Uint8Array, scale)
    for (let i = 0; i < size; i++) {
      const factor = (left[i] as Uint8Array)[column] as number
      if (i === column || factor === 0) continue
      addScaled(left[i] as Uint8Array, left[column] as Uint8Array, factor)
      addScaled(right[i] as Uint8Array, right[column] as Uint8Array, factor)
    }
  }
  return right
}

function swap(rows: Uint8Array[], a: number, b: number): void {
  const row = rows[a] as Uint8Array
  rows[a] = rows[b] as Uint8Array
  rows[b] = row
}

function scaleRow(row: Uint8Array, factor: number): void {
  for (let i = 0; i < row.length; i++) row[i] = multiply(row[i] as number, factor)
}

function addScaled(row: Uint8Array, other: Uint8Array, factor: number): void {
  for (let i = 0; i < row.length; i++) row[i]! ^= multiply(other[i] as number, factor)
}

function codeMatrix(rows: readonly Uint8Array[], columns: number): CodeMatrix {
  const coefficients = new Uint8Array(rows.length * columns)
  const tables = new Uint8Array(coefficients.length * TABLE_BYTES)
  let offset = 0
  for (let first = 0; first < rows.length; first += ROWS_PER_PASS) {
    const pass = rows.slice(first, first + ROWS_PER_PASS)
    for (let column = 0; column < columns; column++) {
      for (const row of pass) {
        writeTables(tables, offset, row[column] as number)
        offset += TABLE_BYTES
      }
    }
  }
  rows.forEach((row, i) => coefficients.set(row, i * columns))
  return { rows: rows.length, columns, coefficients, tables }
}

function writeTables(tables: Uint8Array, offset: number, coefficient: number): void {
  for (let nibble = 0; nibble < 16; nibble++) {
    tables[offset + nibble] = multiply(coefficient, nibble)
    tables[offset + 16 + nibble] = multiply(coefficient, nibble << 4)
  }
}
