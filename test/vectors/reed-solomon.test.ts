import { readFileSync } from 'node:fs'
import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  createSimdKernel,
  encode,
  generatorRow,
  type Kernel,
  reconstruct,
  scalarKernel,
} from '@ioex/storage-node/erasure'
import { describe, expect, test } from 'vitest'

/** PROTOCOL 1.5: the code that two builders must read the same way. */
interface Vector {
  k: number
  n: number
  matrix_first_row: number[]
  data: string[]
  parity: string[]
}

const file = new URL('reed-solomon.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }

const kernels = [
  scalarKernel,
  createSimdKernel(['simd']),
  createSimdKernel(['relaxed-simd']),
].filter((kernel): kernel is Kernel => kernel !== undefined)

describe.each(vectors)('$k of $n', (vector) => {
  const { k, n } = vector
  const data = vector.data.map(fromHex)
  const parity = vector.parity.map(fromHex)

  test('first parity row', () => {
    expect([...generatorRow(k, k)]).toEqual(vector.matrix_first_row)
  })

  test.each(kernels)('$name kernel encodes', (kernel) => {
    expect(encode(k, n, data, kernel).map(bytesToHex)).toEqual(vector.parity)
  })

  test.each(kernels)('$name kernel decodes from the last k cells', (kernel) => {
    const cells = [...data, ...parity]
    const available = new Map(cells.map((cell, index) => [index, cell] as const).slice(n - k))
    const wanted = data.map((_, index) => index)
    const decoded = reconstruct(k, n, available, wanted, kernel)
    if (!decoded.ok) throw new Error(decoded.fault.message)
    expect(wanted.map((index) => bytesToHex(decoded.value.get(index)!))).toEqual(vector.data)
  })
})
