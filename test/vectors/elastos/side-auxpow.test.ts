import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkSideAuxPow,
  decodeSideAuxPow,
  encodeSideAuxPow,
  isSideChainPowSignedBy,
  readDisplayHash,
  type SideAuxPow,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

interface Vector {
  readonly side_block_hash_internal: string
  readonly sideauxpow_hex: string
  readonly arbiter_public_key: string
  readonly main_header_hash_display: string
  readonly btc_parent_hash_internal: string
}

interface Negative {
  readonly name: string
  readonly side_block_hash_internal: string
  readonly sideauxpow_hex: string
}

const file = readVectors<{
  chain: { side_genesis_display: string }
  vectors: readonly Vector[]
  negative: readonly Negative[]
}>('side-auxpow.json')
const genesisHash = valueOf(readDisplayHash(file.chain.side_genesis_display))
const BITS = 0x207fffff

describe('side-auxpow.json', () => {
  test.each(file.vectors)('$side_block_hash_internal', (vector) => {
    const proof = valueOf(decodeSideAuxPow(fromHex(vector.sideauxpow_hex)))
    expect(bytesToHex(encodeSideAuxPow(proof))).toBe(vector.sideauxpow_hex)
    expect(toDisplayHash(proof.mainHeader.hash)).toBe(vector.main_header_hash_display)
    expect(toInternalHex(proof.mainHeader.bitcoinParentHash)).toBe(vector.btc_parent_hash_internal)
    const blockHash = internal(vector.side_block_hash_internal)
    const side = { blockHash, genesisHash, bits: BITS }
    expect(faultCode(checkSideAuxPow(proof, side))).toBeUndefined()
    expect(isSideChainPowSignedBy(proof.transaction, fromHex(vector.arbiter_public_key))).toBe(true)
    expect(faultCode(checkSideAuxPow(proof, { ...side, blockHash: genesisHash }))).toBe(
      'MAIN_ANCHOR_BLOCK',
    )
    expect(faultCode(checkSideAuxPow(proof, { ...side, genesisHash: blockHash }))).toBe(
      'MAIN_ANCHOR_GENESIS',
    )
    expect(faultCode(checkSideAuxPow(proof, { ...side, bits: 0x1d00ffff }))).toBe(
      'MAIN_HEADER_WORK',
    )
    const transfer = { ...proof.transaction.transaction, type: 2, payload: { kind: 'transfer' } }
    const foreign = {
      ...proof,
      transaction: { ...proof.transaction, transaction: transfer },
    } as SideAuxPow
    expect(faultCode(checkSideAuxPow(foreign, side))).toBe('MAIN_ANCHOR_TYPE')
  })

  test.each(file.negative)('$name', (vector) => {
    const proof = valueOf(decodeSideAuxPow(fromHex(vector.sideauxpow_hex)))
    const blockHash = internal(vector.side_block_hash_internal)
    const refused = faultCode(checkSideAuxPow(proof, { blockHash, genesisHash, bits: BITS }))
    expect(['MAIN_ANCHOR_BLOCK', 'MAIN_BRANCH_ROOT']).toContain(refused)
  })

  test.each(file.vectors)(
    'every changed byte of the proof of $side_block_hash_internal is noticed',
    (vector) => {
      const bytes = fromHex(vector.sideauxpow_hex)
      const original = valueOf(decodeSideAuxPow(bytes))
      const side = {
        blockHash: internal(vector.side_block_hash_internal),
        genesisHash,
        bits: BITS,
      }
      const work = toInternalHex(original.mainHeader.bitcoinParentHash)
      const programs = programRange(original)
      const tail = bytes.length - 1
      const parentHeader = tail - 80
      const unread = parentHeader - 4 - 1 - 4 - 1 - 32
      for (let at = 0; at < bytes.length; at++) {
        const changed = Uint8Array.from(bytes)
        changed[at] = (changed[at] as number) ^ 1
        const decoded = decodeSideAuxPow(changed)
        const accepted =
          decoded.ok &&
          checkSideAuxPow(decoded.value, side).ok &&
          toInternalHex(decoded.value.mainHeader.bitcoinParentHash) === work
        // The real node reads none of these: programs lie outside the hash (their signature was
        // for the main chain to check), the parent hash is a remark, and an index has no bit
        // beyond its branch.
        const isProgram = at >= programs.from && at < programs.to
        const isParentRemark = at >= unread && at < unread + 32
        const isParentIndex = at >= unread + 33 && at < unread + 37
        if (isProgram || isParentRemark || isParentIndex) continue
        expect(accepted, `byte ${at}`).toBe(false)
      }
    },
  )
})

/** Where the programs of the proof's transaction lie. */
function programRange({ transaction }: SideAuxPow): { from: number; to: number } {
  return { from: transaction.unsigned.length, to: transaction.raw.length }
}
