import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkSideAuxPow,
  decodeSideBlock,
  encodeTransaction,
  merkleRoot,
  readDisplayHash,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, readVectors, valueOf } from './vector-file.ts'

interface Block {
  readonly raw: string
  readonly expected: {
    readonly height: number
    readonly hash_display: string
    readonly merkleroot_internal: string
    readonly timestamp: number
    readonly nonce: number
    readonly txids_display: readonly string[]
    readonly tx_types: readonly string[]
    readonly side_aux_tx_hash_internal: string
  }
}

const file = readVectors<{ blocks: readonly Block[] }>('side-blocks.json')
const DID = '56be936978c261b2e649d58dbfaf3f23d4a868274f5522cd2adb4308a955c4a3'
const genesisHash = valueOf(readDisplayHash(DID))

describe('side-blocks.json', () => {
  test.each(file.blocks)('side block $expected.height', ({ raw, expected }) => {
    const block = valueOf(decodeSideBlock(fromHex(raw)))
    expect(toDisplayHash(block.hash)).toBe(expected.hash_display)
    expect(block.header).toMatchObject({
      height: expected.height,
      timestamp: expected.timestamp,
      nonce: expected.nonce,
    })
    expect(toInternalHex(block.header.merkleRoot)).toBe(expected.merkleroot_internal)
    const ids = block.transactions.map((transaction) => transaction.id)
    expect(ids.map(toDisplayHash)).toEqual(expected.txids_display)
    expect(merkleRoot(ids)).toEqual(block.header.merkleRoot)
    expect(
      block.transactions.map(
        ({ transaction }) => `${transaction.type}/${transaction.payloadVersion}`,
      ),
    ).toEqual(expected.tx_types)
    expect(toInternalHex(block.proof.transaction.id)).toBe(expected.side_aux_tx_hash_internal)
    const tail = block.transactions
      .map(({ transaction }) => bytesToHex(encodeTransaction(transaction, 'side')))
      .join('')
    expect(raw.endsWith(tail)).toBe(true)
    const side = { blockHash: block.hash, genesisHash, bits: block.header.bits }
    const refused = faultCode(checkSideAuxPow(block.proof, side))
    // The genesis carries an empty proof; it is trusted by its hash alone.
    if (expected.height === 0) expect(refused).toBe('MAIN_ANCHOR_GENESIS')
    else expect(refused).toBeUndefined()
  })
})
