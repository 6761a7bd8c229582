import { fromHex, reversed } from '@ioex/chain/bytes'
import { sumOutputs } from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, readVectors } from './vector-file.ts'

const file = readVectors<{
  cases: readonly {
    name: string
    outputs?: readonly string[]
    outputs_le_hex?: readonly string[]
    true_sum?: string
  }[]
}>('negative-2026.json')

describe('negative-2026.json', () => {
  test('a sum that wraps around int64 is refused', () => {
    const inflation = file.cases.find(({ outputs }) => outputs)
    const values = inflation?.outputs?.map(BigInt) ?? []
    const written = inflation?.outputs_le_hex?.map((hex) =>
      BigInt(`0x${Buffer.from(reversed(fromHex(hex))).toString('hex')}`),
    )
    expect(written).toEqual(values)
    expect(values.reduce((sum, value) => sum + value, 0n)).toBe(BigInt(inflation?.true_sum ?? 0))
    expect(faultCode(sumOutputs(values.map((value) => ({ value }))))).toBe('MAIN_OUTPUT_VALUE')
    expect(faultCode(sumOutputs([{ value: 5n }, { value: -1n }]))).toBe('MAIN_OUTPUT_VALUE')
    expect(sumOutputs([{ value: 5n }, { value: 6n }])).toEqual({ ok: true, value: 11n })
  })
})
