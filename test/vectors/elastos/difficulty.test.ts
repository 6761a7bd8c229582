import { fromHex, reversed } from '@ioex/chain/bytes'
import { compactToTarget, hashMeetsBits, targetToCompact, workOfBits } from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { readVectors } from './vector-file.ts'

interface Row {
  readonly bits: string
  readonly roundtrip: string
  readonly target_hex: string
  readonly work: string
}

const vectors = readVectors<{ compact_bits: { rows: readonly Row[] } }>('difficulty.json')

describe('difficulty.json', () => {
  test.each(vectors.compact_bits.rows)('$bits', (row) => {
    const bits = Number.parseInt(row.bits, 16)
    const target = BigInt(`0x${row.target_hex}`)
    expect(compactToTarget(bits)).toBe(target)
    expect(targetToCompact(target).toString(16)).toBe(row.roundtrip)
    expect(workOfBits(bits)).toBe(BigInt(row.work))
    const atTarget = reversed(fromHex(row.target_hex))
    expect(hashMeetsBits(atTarget, bits)).toBe(true)
    const above = reversed(fromHex((target + 1n).toString(16).padStart(64, '0')))
    expect(hashMeetsBits(above, bits)).toBe(false)
  })
})
