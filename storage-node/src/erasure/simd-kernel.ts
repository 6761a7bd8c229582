import { assert } from '@ioex/chain/bytes'
import { ROWS_PER_PASS, TABLE_BYTES, TOTAL_SHARDS_MAX } from './code-matrix.ts'
import type { Kernel } from './scalar-kernel.ts'
import { kernelModule, type Swizzle, STEP_BYTES } from './kernel-module.ts'

/**
 * The little of WebAssembly that this file uses. The pure rooms are compiled without DOM and
 * Node types, so that nothing there can reach the world; a module without imports cannot
 * either, and computes the same bytes everywhere.
 */
interface WebAssemblyMembers {
  validate(bytes: Uint8Array): boolean
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: Record<string, unknown> }
}
declare const WebAssembly: WebAssemblyMembers | undefined

type Pass = (
  tables: number,
  inputs: number,
  outputs: number,
  stride: number,
  columns: number,
  bytes: number,
) => void

/**
 * Cells pass through the kernel's memory in pieces of this size: 30 pieces fit the second-level
 * cache, and the memory has one fixed size whatever the cells' length.
 */
const PIECE_BYTES = 16_384
const TABLES_BYTES_MAX = 128 * 128 * TABLE_BYTES
const MEMORY_BYTES = TABLES_BYTES_MAX + (TOTAL_SHARDS_MAX + 1) * PIECE_BYTES

/** The SIMD kernel in its fastest form that this engine has; undefined where it has none. */
export function createSimdKernel(
  forms: readonly Swizzle[] = ['relaxed-simd', 'simd'],
): Kernel | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  for (const form of forms) {
    const bytes = kernelModule(form, MEMORY_BYTES)
    if (WebAssembly.validate(bytes)) return instantiate(WebAssembly, form, bytes)
  }
  return undefined
}

function instantiate(wasm: WebAssemblyMembers, name: Swizzle, module: Uint8Array): Kernel {
  const { exports } = new wasm.Instance(new wasm.Module(module))
  const memory = new Uint8Array((exports['memory'] as { buffer: ArrayBuffer }).buffer)
  const passes: Pass[] = []
  for (let rows = 1; rows <= ROWS_PER_PASS; rows++) passes[rows] = exports[`rows${rows}`] as Pass
  return {
    name,
    apply(matrix, inputs, outputs) {
      const length = inputs[0]?.length ?? 0
      assert(matrix.tables.length <= TABLES_BYTES_MAX, 'the tables fit the kernel')
      memory.set(matrix.tables, 0)
      const outputsAt = TABLES_BYTES_MAX + matrix.columns * PIECE_BYTES
      for (let start = 0; start < length; start += PIECE_BYTES) {
        const end = Math.min(length, start + PIECE_BYTES)
        inputs.forEach((input, column) => {
          memory.set(input.subarray(start, end), TABLES_BYTES_MAX + column * PIECE_BYTES)
        })
        runPasses(passes, matrix.rows, matrix.columns, end - start)
        outputs.forEach((output, row) => {
          const at = outputsAt + row * PIECE_BYTES
          output.set(memory.subarray(at, at + end - start), start)
        })
      }
    },
  }
}

/** Rounds up to whole steps: what lies behind a piece's end is computed too and never read. */
function runPasses(passes: readonly Pass[], rows: number, columns: number, bytes: number): void {
  const whole = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES
  const outputsAt = TABLES_BYTES_MAX + columns * PIECE_BYTES
  for (let first = 0; first < rows; first += ROWS_PER_PASS) {
    const passRows = Math.min(ROWS_PER_PASS, rows - first)
    const pass = passes[passRows] as Pass
    const tables = first * columns * TABLE_BYTES
    const outputs = outputsAt + first * PIECE_BYTES
    pass(tables, TABLES_BYTES_MAX, outputs, PIECE_BYTES, columns, whole)
  }
}
