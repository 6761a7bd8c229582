import type { CodeMatrix } from './code-matrix.ts'
import { multiply } from './galois-field.ts'

/**
 * Applies a matrix to cells: outputs[r] = sum over c of coefficient[r][c] · inputs[c], bytewise.
 * All cells have one length. Outputs are overwritten and share no memory with inputs.
 */
export interface Kernel {
  readonly name: 'scalar' | 'simd' | 'relaxed-simd'
  apply(matrix: CodeMatrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void
}

/** Plain table look-ups: the same answers where WebAssembly SIMD is missing. */
export const scalarKernel: Kernel = {
  name: 'scalar',
  apply(matrix, inputs, outputs) {
    outputs.forEach((output, row) => {
      output.fill(0)
      inputs.forEach((input, column) => {
        const coefficient = matrix.coefficients[row * matrix.columns + column] as number
        addProduct(output, input, productsOf(coefficient))
      })
    })
  },
}

/** Products of one coefficient with every byte; built when first used, 64 KiB in all. */
const productTables = new Map<number, Uint8Array>()

function productsOf(coefficient: number): Uint8Array {
  const known = productTables.get(coefficient)
  if (known) return known
  const products = Uint8Array.from({ length: 256 }, (_, byte) => multiply(coefficient, byte))
  productTables.set(coefficient, products)
  return products
}

function addProduct(output: Uint8Array, input: Uint8Array, products: Uint8Array): void {
  for (let i = 0; i < output.length; i++) output[i]! ^= products[input[i] as number] as number
}
