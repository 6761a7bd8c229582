import { bytesToHex, fromHex, reversed } from '@ioex/chain/bytes'
import {
  asInternalHash,
  type AuxPow,
  bitcoinHeaderHash,
  checkAuxPow,
  decodeAuxPow,
  decodeBitcoinHeader,
  decodeBitcoinTransaction,
  doubleHash,
  encodeAuxPow,
  encodeBitcoinHeader,
  encodeBitcoinTransaction,
  expectedAuxIndex,
  foldBranch,
  type InternalHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { expectEveryChangeNoticed, unreadOfAuxPow } from './changed-bytes.ts'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

interface Decoded {
  readonly parCoinbaseTx: {
    readonly version: number
    readonly vin: readonly { readonly script: string; readonly index: number }[]
    readonly vout: readonly { readonly value: string; readonly script: string }[]
    readonly locktime: number
  }
  readonly parentHash: string
  readonly parCoinbaseMerkle: readonly string[]
  readonly parMerkleIndex: number
  readonly auxMerkleBranch: readonly string[]
  readonly auxMerkleIndex: number
  readonly parBlockHeader: {
    readonly version: number
    readonly merkleroot: string
    readonly timestamp: number
    readonly bits: number
    readonly nonce: number
    readonly hash: string
  }
}

interface Vector {
  readonly source: string
  readonly aux_block_hash_hex: string
  readonly auxpow_hex: string
  readonly also_valid_for_chain_id?: number
  readonly aux_tree_height?: number
  readonly nonce?: number
  /** What an unmodified node said to the same proof with the slot of chain 6. */
  readonly negative?: { readonly what: string; readonly submitauxblock_response: object | null }
  readonly decoded: Decoded
}

interface IndexRow {
  readonly chain_id: number
  readonly height: number
  readonly index: number
  readonly nonce: number
}

const file = readVectors<{
  vectors: readonly Vector[]
  expected_index: { rows: readonly IndexRow[] }
}>('auxpow.json')

describe('auxpow.json', () => {
  test.each(file.vectors)('$source', (vector) => {
    const auxPow = valueOf(decodeAuxPow(fromHex(vector.auxpow_hex)))
    expect(bytesToHex(encodeAuxPow(auxPow))).toBe(vector.auxpow_hex)
    const { decoded } = vector
    expect(toInternalHex(auxPow.parentHash)).toBe(decoded.parentHash)
    expect(auxPow.parentBranch.map(toInternalHex)).toEqual(decoded.parCoinbaseMerkle)
    expect(auxPow.parentIndex).toBe(decoded.parMerkleIndex)
    expect(auxPow.auxBranch.map(toInternalHex)).toEqual(decoded.auxMerkleBranch)
    expect(auxPow.auxIndex).toBe(decoded.auxMerkleIndex)
    expect(toInternalHex(bitcoinHeaderHash(auxPow))).toBe(decoded.parBlockHeader.hash)
    const coinbase = valueOf(decodeBitcoinTransaction(auxPow.parentCoinbase))
    expect(encodeBitcoinTransaction(coinbase)).toEqual(auxPow.parentCoinbase)
    expect(coinbase.version).toBe(decoded.parCoinbaseTx.version)
    expect(coinbase.inputs.map((input) => bytesToHex(input.script))).toEqual(
      decoded.parCoinbaseTx.vin.map((input) => input.script),
    )
    expect(coinbase.outputs.map((output) => String(output.value))).toEqual(
      decoded.parCoinbaseTx.vout.map((output) => output.value),
    )
    const header = valueOf(decodeBitcoinHeader(auxPow.parentHeader))
    expect(encodeBitcoinHeader(header)).toEqual(auxPow.parentHeader)
    expect(header).toMatchObject({
      version: decoded.parBlockHeader.version,
      timestamp: decoded.parBlockHeader.timestamp,
      bits: decoded.parBlockHeader.bits,
      nonce: decoded.parBlockHeader.nonce,
    })
    expect(toInternalHex(header.merkleRoot)).toBe(decoded.parBlockHeader.merkleroot)
  })

  test.each(file.vectors)('commits to its block and to no other: $source', (vector) => {
    const auxPow = valueOf(decodeAuxPow(fromHex(vector.auxpow_hex)))
    const hash = internal(vector.aux_block_hash_hex)
    expect(faultCode(checkAuxPow(auxPow, hash))).toBeUndefined()
    expect(faultCode(checkAuxPow(auxPow, asInternalHash(reversed(hash))))).toBe('MAIN_AUXPOW_ROOT')
    // Trees of height 0 and 1 cannot tell most chain ids apart; the higher ones must.
    const withSix = faultCode(checkAuxPow(auxPow, hash, 6))
    if ((vector.aux_tree_height ?? 0) > 1) expect(withSix).toBe('MAIN_AUXPOW_SLOT')
    if (vector.also_valid_for_chain_id === 6) expect(withSix).toBeUndefined()
  })

  test('the slot of a chain in an aux tree', () => {
    for (const row of file.expected_index.rows) {
      expect(expectedAuxIndex(row.nonce, row.chain_id, row.height)).toBe(row.index)
    }
  })

  test.each(file.vectors.filter(({ negative }) => negative))(
    'the same in the slot of another chain: $source, height $aux_tree_height',
    ({ auxpow_hex, aux_block_hash_hex, nonce = 0, aux_tree_height = 0, negative }) => {
      const auxPow = valueOf(decodeAuxPow(fromHex(auxpow_hex)))
      const hash = internal(aux_block_hash_hex)
      const slot = expectedAuxIndex(nonce, 6, aux_tree_height)
      expect(negative?.what).toBe(
        `same construction but index computed with chain id 6 (index ${slot})`,
      )
      const moved = movedTo(auxPow, hash, slot)
      expect(checkAuxPow(moved, hash, 6).ok).toBe(true)
      // A tree of one leaf has one slot, for every chain: nothing was sent to the node then.
      const isRefused = aux_tree_height > 0
      expect(negative?.submitauxblock_response === null).toBe(!isRefused)
      expect(faultCode(checkAuxPow(moved, hash))).toBe(isRefused ? 'MAIN_AUXPOW_SLOT' : undefined)
    },
  )

  test.each(file.vectors)('every changed byte is noticed: $source', (vector) => {
    const bytes = fromHex(vector.auxpow_hex)
    const hash = internal(vector.aux_block_hash_hex)
    const original = valueOf(decodeAuxPow(bytes))
    const work = toInternalHex(bitcoinHeaderHash(original))
    const isAccepted = (changed: Uint8Array) => {
      const decoded = decodeAuxPow(changed)
      if (!decoded.ok) return false
      const sameWork = toInternalHex(bitcoinHeaderHash(decoded.value)) === work
      return sameWork && checkAuxPow(decoded.value, hash).ok
    }
    expectEveryChangeNoticed(bytes, isAccepted, unreadOfAuxPow(original, 0))
  })
})

/** The proof of a miner who put the block into another slot of the same tree. */
function movedTo(auxPow: AuxPow, hash: InternalHash, auxIndex: number): AuxPow {
  const commitment = (index: number) =>
    bytesToHex(reversed(foldBranch(reversed(hash), auxPow.auxBranch, index)))
  const coinbase = bytesToHex(auxPow.parentCoinbase)
  expect(coinbase.split(commitment(auxPow.auxIndex))).toHaveLength(2)
  const parentCoinbase = fromHex(
    coinbase.replace(commitment(auxPow.auxIndex), commitment(auxIndex)),
  )
  const parentHeader = Uint8Array.from(auxPow.parentHeader)
  const leaf = doubleHash(parentCoinbase)
  parentHeader.set(foldBranch(leaf, auxPow.parentBranch, auxPow.parentIndex), 36)
  return { ...auxPow, parentCoinbase, parentHeader, auxIndex }
}
