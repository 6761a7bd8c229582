import { bytesToHex, reversed } from '@ioex/chain/bytes'
import {
  asInternalHash,
  crossChainCode,
  crossChainProgramHash,
  formatElaAddress,
  readDisplayHash,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { readVectors, valueOf } from './vector-file.ts'

interface Vector {
  readonly name: string
  readonly genesis_hash_display: string
  readonly genesis_hash_internal: string
  readonly code: string
  readonly program_hash: string
  readonly address: string
  readonly wrong_if_not_reversed: string
}

const { vectors } = readVectors<{ vectors: readonly Vector[] }>('crosschain-addresses.json')

describe('crosschain-addresses.json', () => {
  test.each(vectors)('$name', (vector) => {
    const genesis = valueOf(readDisplayHash(vector.genesis_hash_display))
    expect(toInternalHex(genesis)).toBe(vector.genesis_hash_internal)
    expect(toDisplayHash(genesis)).toBe(vector.genesis_hash_display)
    expect(bytesToHex(crossChainCode(genesis))).toBe(vector.code)
    const programHash = crossChainProgramHash(genesis)
    expect(bytesToHex(programHash)).toBe(vector.program_hash)
    expect(formatElaAddress(programHash)).toBe(vector.address)
    const wrong = crossChainProgramHash(asInternalHash(reversed(genesis)))
    expect(formatElaAddress(wrong)).toBe(vector.wrong_if_not_reversed)
  })
})
