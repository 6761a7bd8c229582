import { bytesToHex, fromHex, reversed } from '@ioex/chain/bytes'
import {
  asInternalHash,
  checkAuxPow,
  decodeAuxPow,
  decodeHeader,
  encodeHeader,
  hashMeetsBits,
  bitcoinHeaderHash,
  headerHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, readVectors, valueOf } from './vector-file.ts'

interface Vector {
  readonly source: string
  readonly json_fields: {
    readonly hash: string
    readonly height: number
    readonly version: number
    readonly previousblockhash: string
    readonly merkleroot: string
    readonly time: number
    readonly bits: number
    readonly nonce: number
  }
  readonly hash_strings_are: string
  readonly header_hex: string
  readonly hash_internal: string
  readonly auxpow_hex: string
}

const { vectors } = readVectors<{ vectors: readonly Vector[] }>('headers-from-docs.json')

describe('headers-from-docs.json', () => {
  test.each(vectors)('$source', (vector) => {
    const { json_fields: fields } = vector
    const display = vector.hash_strings_are.startsWith('display')
    const hash = (text: string) => asInternalHash(display ? reversed(fromHex(text)) : fromHex(text))
    const header = {
      version: fields.version,
      previous: hash(fields.previousblockhash),
      merkleRoot: hash(fields.merkleroot),
      timestamp: fields.time,
      bits: fields.bits,
      nonce: fields.nonce,
      height: fields.height,
    }
    expect(bytesToHex(encodeHeader(header))).toBe(vector.header_hex)
    expect(valueOf(decodeHeader(fromHex(vector.header_hex)))).toEqual(header)
    expect(headerHash(header)).toEqual(hash(fields.hash))
    expect(toInternalHex(headerHash(header))).toBe(vector.hash_internal)
    const auxPow = valueOf(decodeAuxPow(fromHex(vector.auxpow_hex)))
    expect(faultCode(checkAuxPow(auxPow, headerHash(header)))).toBeUndefined()
    expect(hashMeetsBits(bitcoinHeaderHash(auxPow), 0x207fffff)).toBe(true)
  })
})
