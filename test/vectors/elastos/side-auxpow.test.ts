import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkSideAuxPow,
  decodeSideAuxPow,
  encodeAuxPow,
  encodeSideAuxPow,
  isSideChainPowSignedBy,
  readDisplayHash,
  type SideAuxPow,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import {
  expectEveryChangeNoticed,
  offsetOf,
  unreadOfAuxPow,
  unreadOfPrograms,
} from './changed-bytes.ts'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

interface Vector {
  readonly side_block_hash_internal: string
  readonly sideauxpow_hex: string
  readonly arbiter_public_key: string
  readonly main_header_hash_display: string
  readonly btc_parent_hash_internal: string
  readonly payload_signed_message: string
  readonly rpc_response: { readonly result: string }
  readonly decoded: {
    readonly sideAuxBlockTx: {
      readonly type: number
      readonly payload: {
        readonly sideBlockHash: string
        readonly sideGenesisHash: string
        readonly blockHeight: number
        readonly signature: string
      }
      readonly hash_internal: string
      readonly programs: readonly { readonly parameter: string; readonly code: string }[]
    }
    readonly branch_count_u32: number
    readonly branch: readonly string[]
    readonly index_u32: number
    readonly mainHeader: {
      readonly version: number
      readonly previous: string
      readonly merkleroot: string
      readonly timestamp: number
      readonly bits: number
      readonly nonce: number
      readonly height: number
      readonly hash: string
      readonly tail: number
      readonly tail_byte: number
      readonly auxpow: {
        readonly parentHash: string
        readonly auxMerkleIndex: number
        readonly parBlockHeader: { readonly hash: string }
      }
    }
  }
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

  test.each(file.vectors)('$side_block_hash_internal, field by field', (vector) => {
    const { transaction, branch, index, mainHeader } = valueOf(
      decodeSideAuxPow(fromHex(vector.sideauxpow_hex)),
    )
    const { sideAuxBlockTx, mainHeader: header, ...path } = vector.decoded
    const { payload, type, programs } = transaction.transaction
    if (payload.kind !== 'side-chain-pow') expect.fail('the payload is of another kind')
    expect({
      type,
      payload: {
        sideBlockHash: toInternalHex(payload.sideBlockHash),
        sideGenesisHash: toInternalHex(payload.sideGenesisHash),
        blockHeight: payload.sideHeight,
        signature: bytesToHex(payload.signature),
      },
      hash_internal: toInternalHex(transaction.id),
      programs: programs.map(({ parameter, code }) => ({
        parameter: bytesToHex(parameter),
        code: bytesToHex(code),
      })),
    }).toEqual(sideAuxBlockTx)
    expect(bytesToHex(transaction.unsigned.subarray(2, 70))).toBe(vector.payload_signed_message)
    expect(vector.rpc_response.result).toBe(toInternalHex(payload.sideBlockHash))
    expect({
      branch_count_u32: branch.length,
      branch: branch.map(toInternalHex),
      index_u32: index,
    }).toEqual(path)
    const { auxpow, hash, previous, merkleroot, tail, tail_byte, ...numbers } = header
    expect(mainHeader.header).toMatchObject(numbers)
    expect(toInternalHex(mainHeader.hash)).toBe(hash)
    expect(toInternalHex(mainHeader.header.previous)).toBe(previous)
    expect(toInternalHex(mainHeader.header.merkleRoot)).toBe(merkleroot)
    expect([tail, tail_byte]).toEqual([1, 1])
    expect(toInternalHex(mainHeader.auxPow.parentHash)).toBe(auxpow.parentHash)
    expect(mainHeader.auxPow.auxIndex).toBe(auxpow.auxMerkleIndex)
    expect(toInternalHex(mainHeader.bitcoinParentHash)).toBe(auxpow.parBlockHeader.hash)
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
      const blockHash = internal(vector.side_block_hash_internal)
      const work = toInternalHex(original.mainHeader.bitcoinParentHash)
      const isAccepted = (changed: Uint8Array) => {
        const proof = decodeSideAuxPow(changed)
        if (!proof.ok) return false
        const { bitcoinParentHash } = proof.value.mainHeader
        const checked = checkSideAuxPow(proof.value, { blockHash, genesisHash, bits: BITS })
        return checked.ok && toInternalHex(bitcoinParentHash) === work
      }
      const { auxPow } = original.mainHeader
      const unread = [
        unreadOfPrograms(original.transaction),
        ...unreadOfAuxPow(auxPow, offsetOf(bytes, encodeAuxPow(auxPow))),
      ]
      const isDecoded = (changed: Uint8Array) => decodeSideAuxPow(changed).ok
      expectEveryChangeNoticed(bytes, isAccepted, unread, isDecoded)
    },
  )
})
