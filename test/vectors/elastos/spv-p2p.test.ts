import { isDeepStrictEqual } from 'node:util'
import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  addToFilter,
  buildPartialTree,
  checkAuxPow,
  crossChainProgramHash,
  decodeFrame,
  decodeFrameHeader,
  decodeMerkleBlock,
  decodeMerkleProof,
  decodeMessage,
  decodeSideChainFilter,
  decodeTransaction,
  emptyBloomFilter,
  encodeFrame,
  encodeMerkleBlock,
  encodeMerkleProof,
  encodeMessage,
  encodeSideChainFilter,
  filterMatches,
  FRAME_HEADER_BYTES,
  HEADER_BYTES,
  MainNetMagic,
  type MerkleBlock,
  resolvePartialTree,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { expectEveryChangeNoticed, unreadOfAuxPow, unreadOfTree } from './changed-bytes.ts'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

interface MerkleBlockVector {
  readonly payload_hex: string
  readonly tx_messages_following?: readonly string[]
  readonly expected: {
    readonly height: number
    readonly block_hash_display: string
    readonly merkleroot_internal: string
    readonly transactions: number
    readonly hashes_internal: readonly string[]
    readonly flags_hex: string
    readonly matched_leaves: readonly { readonly pos: number; readonly hash: string }[]
  }
}

const file = readVectors<{
  merkleblocks: readonly MerkleBlockVector[]
  messages: readonly {
    readonly command: string
    readonly header_hex: string
    readonly payload_hex: string
    readonly payload_len: number
  }[]
  txfilter_bloom: {
    readonly element_program_hash: string
    readonly elements: number
    readonly filter_bytes: string
    readonly filter_type: number
    readonly hash_funcs: number
    readonly tweak: number
    readonly tx_types: readonly number[]
    readonly txfilter_payload: string
  }
  old_recharge_proof_sample: { readonly hex: string }
  selective_filter: {
    readonly txfilter_payload_hex: string
    merkleblocks: readonly MerkleBlockVector[]
  }
  merkle_proof: {
    raw: string
    block_hash_internal: string
    height: number
    transactions: number
    flags: string
    hashes_internal: readonly string[]
  }
}>('spv-p2p.json')

describe('spv-p2p.json: merkle blocks', () => {
  test.each([...file.merkleblocks, ...file.selective_filter.merkleblocks])(
    'block $expected.height with $expected.transactions transactions, flags $expected.flags_hex',
    ({ payload_hex, expected, tx_messages_following }) => {
      const block = valueOf(decodeMerkleBlock(fromHex(payload_hex)))
      expect(bytesToHex(encodeMerkleBlock(block))).toBe(payload_hex)
      expect(toDisplayHash(block.header.hash)).toBe(expected.block_hash_display)
      expect(block.header.header.height).toBe(expected.height)
      expect(block.tree.transactionCount).toBe(expected.transactions)
      expect(block.tree.hashes.map(toInternalHex)).toEqual(expected.hashes_internal)
      expect(faultCode(checkAuxPow(block.header.auxPow, block.header.hash))).toBeUndefined()
      const { root, matches } = valueOf(resolvePartialTree(block.tree))
      expect(toInternalHex(root)).toBe(expected.merkleroot_internal)
      expect(root).toEqual(block.header.header.merkleRoot)
      expect(matches.map(({ index, id }) => ({ pos: index, hash: toInternalHex(id) }))).toEqual(
        expected.matched_leaves,
      )
      const following = (tx_messages_following ?? []).map((hex) =>
        toInternalHex(valueOf(decodeTransaction(fromHex(hex))).id),
      )
      if (tx_messages_following) {
        expect(following).toEqual(expected.matched_leaves.map(({ hash }) => hash))
      }
    },
  )

  test('a stored Merkle proof', () => {
    const { merkle_proof: vector } = file
    const proof = valueOf(decodeMerkleProof(fromHex(vector.raw)))
    expect(bytesToHex(encodeMerkleProof(proof))).toBe(vector.raw)
    expect(toInternalHex(proof.blockHash)).toBe(vector.block_hash_internal)
    expect(proof.height).toBe(vector.height)
    expect(proof.tree.transactionCount).toBe(vector.transactions)
    expect(proof.tree.hashes.map(toInternalHex)).toEqual(vector.hashes_internal)
    expect(bytesToHex(proof.tree.flags)).toBe(vector.flags)
  })
})

describe('spv-p2p.json: messages', () => {
  test.each(file.messages.map((message, index) => ({ index, ...message })))(
    'message $index, $command',
    ({ command, header_hex, payload_hex, payload_len }) => {
      const bytes = fromHex(header_hex + payload_hex)
      const frame = valueOf(decodeFrame(bytes, MainNetMagic.regression))
      expect(frame.command).toBe(command)
      expect(frame.payload).toHaveLength(payload_len)
      expect(bytesToHex(encodeFrame(frame, MainNetMagic.regression))).toBe(bytesToHex(bytes))
      const message = valueOf(decodeMessage(frame))
      expect(encodeMessage(message)).toEqual(frame)
      expect(faultCode(decodeFrame(bytes, MainNetMagic.main))).toBe('MAIN_FRAME_MAGIC')
      if (command === 'tx') valueOf(decodeTransaction(frame.payload))
      if (command === 'merkleblock') valueOf(decodeMerkleBlock(frame.payload))
      if (message.command !== 'txfilter') return
      const filter = valueOf(decodeSideChainFilter(message.data))
      expect(encodeSideChainFilter(filter)).toEqual(message.data)
    },
  )

  test.each(file.messages.map((message, index) => ({ index, ...message })))(
    'every changed byte of frame $index, $command, is noticed',
    ({ header_hex, payload_hex }) => {
      // A command of other letters is well-formed: nobody knows it.
      const isKnown = (changed: Uint8Array) => {
        const frame = decodeFrame(changed, MainNetMagic.regression)
        return frame.ok && decodeMessage(frame.value).ok
      }
      expectEveryChangeNoticed(fromHex(header_hex + payload_hex), isKnown)
    },
  )

  test('a payload longer than any message is refused by its header', () => {
    const [first] = file.messages
    if (!first) expect.fail('the vector is missing')
    const header = fromHex(first.header_hex)
    header.fill(0xff, 16, 20)
    expect(faultCode(decodeFrameHeader(header, MainNetMagic.regression))).toBe(
      'MAIN_FIELD_TOO_LONG',
    )
    expect(header).toHaveLength(FRAME_HEADER_BYTES)
  })

  test('the recorded version, ping and getblocks by field', () => {
    const byCommand = (command: string) => {
      const found = file.messages.find((message) => message.command === command)
      if (!found) expect.fail(`no message ${command}`)
      return valueOf(decodeMessage({ command, payload: fromHex(found.payload_hex) }))
    }
    expect(byCommand('version')).toMatchObject({ version: 20_000, relay: false, height: 0n })
    expect(byCommand('ping')).toEqual({ command: 'ping', height: 0xeen })
    expect(byCommand('getblocks')).toMatchObject({ stop: internal('00'.repeat(32)) })
    expect(byCommand('inv')).toMatchObject({ items: [{ kind: 2 }] })
    expect(byCommand('notfound')).toMatchObject({ items: [{ kind: 1 }] })
  })

  test('the side-chain filter of the library', () => {
    const { txfilter_bloom: vector } = file
    const element = fromHex(vector.element_program_hash)
    const empty = emptyBloomFilter(vector.elements, 0, vector.tweak)
    expect(empty.functions).toBe(vector.hash_funcs)
    const filter = addToFilter(empty, element)
    expect(bytesToHex(filter.bytes)).toBe(vector.filter_bytes)
    expect(filterMatches(filter, element)).toBe(true)
    expect(filterMatches(filter, crossChainProgramHash(internal('11'.repeat(32))))).toBe(false)
    expect(filterMatches(empty, element)).toBe(false)
    const data = encodeSideChainFilter({
      ...filter,
      flags: 0,
      transactionTypes: Uint8Array.from(vector.tx_types),
    })
    const message = { command: 'txfilter', filterKind: vector.filter_type, data } as const
    const { payload } = encodeMessage(message)
    expect(bytesToHex(payload)).toBe(vector.txfilter_payload)
    expect(bytesToHex(payload)).toBe(file.selective_filter.txfilter_payload_hex)
  })
})

describe('spv-p2p.json: partial trees', () => {
  test.each([...file.merkleblocks, ...file.selective_filter.merkleblocks])(
    'block $expected.height: a tree of ours has the same shape',
    ({ payload_hex }) => {
      const { tree } = valueOf(decodeMerkleBlock(fromHex(payload_hex)))
      const { matches } = valueOf(resolvePartialTree(tree))
      if (matches.length !== tree.transactionCount) return
      const ids = matches.map(({ id }) => id)
      expect(buildPartialTree(ids, () => true)).toEqual(tree)
    },
  )

  test.each([...file.merkleblocks, ...file.selective_filter.merkleblocks])(
    'every changed byte of the merkle block $expected.height is noticed',
    ({ payload_hex }) => {
      const bytes = fromHex(payload_hex)
      const { header, tree } = valueOf(decodeMerkleBlock(bytes))
      const work = toInternalHex(header.bitcoinParentHash)
      const shown = resolvePartialTree(tree)
      const isAccepted = (changed: Uint8Array) => {
        const block = decodeMerkleBlock(changed)
        if (!block.ok || workOf(block.value) !== work || !isProven(block.value)) return false
        return isDeepStrictEqual(resolvePartialTree(block.value.tree), shown)
      }
      const unread = [
        ...unreadOfAuxPow(header.auxPow, HEADER_BYTES),
        ...unreadOfTree(tree, bytes.length),
      ]
      const isReadable = (changed: Uint8Array) => {
        const block = decodeMerkleBlock(changed)
        return block.ok && resolvePartialTree(block.value.tree).ok
      }
      expectEveryChangeNoticed(bytes, isAccepted, unread, isReadable)
    },
  )

  test('every changed byte of a stored Merkle proof is noticed', () => {
    const bytes = fromHex(file.merkle_proof.raw)
    const original = valueOf(decodeMerkleProof(bytes))
    const shown = resolvePartialTree(original.tree)
    const isAccepted = (changed: Uint8Array) => {
      const proof = decodeMerkleProof(changed)
      if (!proof.ok) return false
      // The proof names its header; what the chain has at that height must be that one.
      const sameHeader =
        proof.value.height === original.height &&
        toInternalHex(proof.value.blockHash) === toInternalHex(original.blockHash)
      return sameHeader && isDeepStrictEqual(resolvePartialTree(proof.value.tree), shown)
    }
    expectEveryChangeNoticed(bytes, isAccepted, unreadOfTree(original.tree, bytes.length))
  })

  test('an old recharge proof begins with a stored Merkle proof', () => {
    const bytes = fromHex(file.old_recharge_proof_sample.hex)
    // Its tree had no flags: where they would stand lies the deposit, in the layout of its time.
    const proof = valueOf(decodeMerkleProof(bytes))
    expect(proof.tree.transactionCount).toBe(1)
    expect(proof.tree.hashes).toEqual([proof.blockHash])
    expect(proof.tree.flags).toHaveLength(0x183)
    expect(faultCode(resolvePartialTree(proof.tree))).toBe('MAIN_TREE_MALFORMED')
  })
})

const workOf = (block: MerkleBlock) => toInternalHex(block.header.bitcoinParentHash)

function isProven({ header, tree }: MerkleBlock): boolean {
  const resolved = resolvePartialTree(tree)
  return (
    checkAuxPow(header.auxPow, header.hash).ok &&
    resolved.ok &&
    toInternalHex(resolved.value.root) === toInternalHex(header.header.merkleRoot)
  )
}
