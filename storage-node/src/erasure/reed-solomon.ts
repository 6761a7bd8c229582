import { assert, fault, ok, type Result } from '@ioex/chain/bytes'
import { assertShards, type CodeMatrix, parityMatrix, recoveryMatrix } from './code-matrix.ts'
import { type Kernel, scalarKernel } from './scalar-kernel.ts'
import { createSimdKernel } from './simd-kernel.ts'

/** The fastest kernel this engine has; all kernels give the same bytes. */
export const fastestKernel: Kernel = createSimdKernel() ?? scalarKernel

/**
 * Which shards are missing changes rarely during a transfer, so a matrix is computed once per
 * set; the oldest leave when many sets have been seen.
 */
const MATRICES_KEPT_MAX = 128
const matrices = new Map<string, CodeMatrix>()

function remembered(key: string, compute: () => CodeMatrix): CodeMatrix {
  const known = matrices.get(key)
  if (known) return known
  const matrix = compute()
  if (matrices.size >= MATRICES_KEPT_MAX) {
    const oldest = matrices.keys().next()
    if (!oldest.done) matrices.delete(oldest.value)
  }
  matrices.set(key, matrix)
  return matrix
}

/**
 * The n-k parity cells of k data cells of one length (systematic Reed-Solomon, PROTOCOL 1.5).
 * Cell i of a stripe is dataCells[i] for i < k, else parityCells[i - k].
 */
export function encode(
  k: number,
  n: number,
  dataCells: readonly Uint8Array[],
  kernel: Kernel = fastestKernel,
): Uint8Array[] {
  const bytes = dataCells[0]?.length ?? 0
  const parityCells = Array.from({ length: n - k }, () => new Uint8Array(bytes))
  encodeInto(k, n, dataCells, parityCells, kernel)
  return parityCells
}

/** As `encode`, into cells that the caller owns: a stream of stripes needs no new memory. */
export function encodeInto(
  k: number,
  n: number,
  dataCells: readonly Uint8Array[],
  parityCells: readonly Uint8Array[],
  kernel: Kernel = fastestKernel,
): void {
  assertShards(k, n)
  assert(dataCells.length === k, 'encoding takes exactly k data cells')
  assert(parityCells.length === n - k, 'encoding gives exactly n-k parity cells')
  const bytes = (dataCells[0] as Uint8Array).length
  const isWhole = (cell: Uint8Array) => cell.length === bytes
  assert(dataCells.every(isWhole), 'the cells of a stripe have one length')
  assert(parityCells.every(isWhole), 'parity cells are as long as data cells')
  if (n === k) return
  kernel.apply(
    remembered(`${k} of ${n}`, () => parityMatrix(k, n)),
    dataCells,
    parityCells,
  )
}

/**
 * The cells `wanted` (0..n-1, data or parity) of a stripe from any k of its n cells. A wanted
 * cell that is available is returned as it is. Faults: CELLS_TOO_FEW, CELL_LENGTHS_DIFFER,
 * CELL_INDEX. It cannot know whether a cell is genuine; verify cells before.
 */
export function reconstruct(
  k: number,
  n: number,
  available: ReadonlyMap<number, Uint8Array>,
  wanted: readonly number[],
  kernel: Kernel = fastestKernel,
): Result<Map<number, Uint8Array>> {
  assertShards(k, n)
  const indexes = [...available.keys(), ...wanted]
  if (indexes.some((index) => !Number.isInteger(index) || index < 0 || index >= n)) {
    return fault('CELL_INDEX', `cell indexes of this code are 0 to ${n - 1}`)
  }
  const cells = new Map<number, Uint8Array>()
  const missing: number[] = []
  for (const index of wanted) {
    const cell = available.get(index)
    if (cell) cells.set(index, cell)
    else if (!missing.includes(index)) missing.push(index)
  }
  if (missing.length === 0) return ok(cells)
  // Lowest indexes first: the more data cells among them, the sparser and the more often the
  // same is the matrix.
  const present = [...available.keys()].sort((a, b) => a - b).slice(0, k)
  if (present.length < k) {
    return fault('CELLS_TOO_FEW', `${present.length} of the ${k} cells that decoding needs`, {
      available: present.length,
      needed: k,
    })
  }
  const inputs = present.map((index) => available.get(index) as Uint8Array)
  const bytes = (inputs[0] as Uint8Array).length
  if (inputs.some((cell) => cell.length !== bytes)) {
    return fault('CELL_LENGTHS_DIFFER', 'the cells of a stripe have one length')
  }
  const matrix = remembered(`${k} of ${present.join()} to ${missing.join()}`, () =>
    recoveryMatrix(k, present, missing),
  )
  const outputs = missing.map(() => new Uint8Array(bytes))
  kernel.apply(matrix, inputs, outputs)
  missing.forEach((index, i) => cells.set(index, outputs[i] as Uint8Array))
  return ok(cells)
}
