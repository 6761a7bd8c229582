import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkAuxPow,
  checkProgram,
  decodeBlock,
  decodeHeaderWithAuxPow,
  encodeBlock,
  encodeHeader,
  encodeTransaction,
  hashMeetsBits,
  headerHash,
  merkleBranch,
  merkleRoot,
  parseCode,
  standardProgramHash,
  toDisplayHash,
  toInternalHex,
  verifyTransactionInclusion,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, readVectors, valueOf } from './vector-file.ts'

interface Expected {
  readonly height: number
  readonly hash_display: string
  readonly hash_internal: string
  readonly previous_internal: string
  readonly merkleroot_internal: string
  readonly timestamp: number
  readonly bits_hex: string
  readonly nonce: number
  readonly tx_count: number
  readonly txids_display: readonly string[]
  readonly tx_types: readonly number[]
}

interface Genesis {
  readonly net: string
  readonly block_raw: string
  readonly asset_txid_rpc: string
  readonly coinbase_txid_rpc: string
  readonly hash_internal: string
  readonly hash_rpc: string
  readonly header_no_aux: string
}

interface Block {
  readonly source: string
  readonly raw: string
  readonly expected: Expected
}

const file = readVectors<{ genesis: readonly Genesis[]; blocks: readonly Block[] }>(
  'main-blocks.json',
)

describe('main-blocks.json', () => {
  test.each(file.genesis)('genesis of $net', (genesis) => {
    const block = valueOf(decodeBlock(fromHex(genesis.block_raw)))
    expect(toInternalHex(block.hash)).toBe(genesis.hash_internal)
    expect(toDisplayHash(block.hash)).toBe(genesis.hash_rpc)
    expect(bytesToHex(encodeHeader(block.header))).toBe(genesis.header_no_aux)
    const ids = block.transactions.map((transaction) => transaction.id)
    expect(ids.map(toDisplayHash)).toEqual([genesis.coinbase_txid_rpc, genesis.asset_txid_rpc])
    expect(merkleRoot(ids)).toEqual(block.header.merkleRoot)
  })

  test.each(file.blocks)('block $expected.height of $source', ({ raw, expected }) => {
    const block = valueOf(decodeBlock(fromHex(raw)))
    const { header } = block
    expect(header).toMatchObject({
      height: expected.height,
      timestamp: expected.timestamp,
      bits: Number.parseInt(expected.bits_hex, 16),
      nonce: expected.nonce,
    })
    expect(toInternalHex(block.hash)).toBe(expected.hash_internal)
    expect(toDisplayHash(headerHash(header))).toBe(expected.hash_display)
    expect(toInternalHex(header.previous)).toBe(expected.previous_internal)
    expect(toInternalHex(header.merkleRoot)).toBe(expected.merkleroot_internal)
    const ids = block.transactions.map((transaction) => transaction.id)
    expect(ids.map(toDisplayHash)).toEqual(expected.txids_display)
    expect(block.transactions.map(({ transaction }) => transaction.type)).toEqual(expected.tx_types)
    expect(merkleRoot(ids)).toEqual(header.merkleRoot)
    ids.forEach((id, index) => {
      const branch = merkleBranch(ids, index)
      const included = verifyTransactionInclusion(id, branch, index, header.merkleRoot)
      expect(faultCode(included)).toBeUndefined()
    })
    const raws = block.transactions.map(({ transaction }) => encodeTransaction(transaction))
    expect(bytesToHex(encodeBlock(header, block.auxPow, raws))).toBe(raw)
    const prefix = valueOf(decodeHeaderWithAuxPow(fromHex(raw)))
    expect(prefix.length).toBe(raw.length / 2 - raws.reduce((sum, tx) => sum + tx.length, 4))
  })

  test.each(file.blocks.filter((block) => block.expected.height > 0))(
    'work, commitment and signatures of block $expected.height of $source',
    ({ raw }) => {
      const block = valueOf(decodeBlock(fromHex(raw)))
      expect(faultCode(checkAuxPow(block.auxPow, block.hash))).toBeUndefined()
      // The sample of height 10000 comes with an AuxPow of toy work; the others carry their own.
      if (block.header.height !== 10_000) {
        expect(hashMeetsBits(block.bitcoinParentHash, block.header.bits)).toBe(true)
      }
      for (const { transaction, unsigned } of block.transactions) {
        for (const program of transaction.programs) {
          const code = valueOf(parseCode(program.code))
          if (code.kind !== 'standard') continue
          const owner = standardProgramHash(code.publicKey)
          expect(faultCode(checkProgram(program, owner, unsigned))).toBeUndefined()
        }
      }
    },
  )
})
