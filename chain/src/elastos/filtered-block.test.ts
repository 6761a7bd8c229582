import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fromHex } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import { decodeBlock } from './block.ts'
import { addToFilter, emptyBloomFilter } from './bloom-filter.ts'
import { filterBlock, matchTransaction, OPEN_FILTER, provenLeaves } from './filtered-block.ts'
import { decodeMerkleBlock } from './merkle-block.ts'
import { decodeSideChainFilter, type SideChainFilter } from './p2p-message.ts'
import { decodeTransaction } from './transaction.ts'

const folder = new URL('../../../test/vectors/elastos/', import.meta.url)
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

function valueOf<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.fault.message)
  return result.value
}

const { merkleblocks, selective_filter: selective } = read('spv-p2p.json')
/** A txfilter's payload: kind, length, data. */
const recorded = valueOf(decodeSideChainFilter(fromHex(selective.txfilter_payload_hex).slice(2)))
const block = valueOf(decodeBlock(fromHex(read('main-blocks.json').blocks.at(-1).raw)))

function filterOf(element: Uint8Array, tweak: number, types: readonly number[] = []) {
  const filter: SideChainFilter = {
    ...addToFilter(emptyBloomFilter(4, 1e-9, tweak), element),
    flags: 0,
    transactionTypes: Uint8Array.from(types),
  }
  return filter
}

describe('transaction filters of the main node', () => {
  test('what the real node showed for a recorded filter passes ours', () => {
    for (const { tx_messages_following: shown } of selective.merkleblocks) {
      for (const raw of shown) {
        const transaction = valueOf(decodeTransaction(fromHex(raw)))
        expect(matchTransaction(transaction, recorded).isShown).toBe(true)
        const others = { ...recorded, transactionTypes: Uint8Array.of(7) }
        expect(matchTransaction(transaction, others).isShown).toBe(false)
      }
    }
  })

  test('the open filter shows every transaction, and the tree says so', () => {
    const { merkleBlock, shown } = filterBlock(block, OPEN_FILTER)
    expect(shown).toEqual(block.transactions)
    const leaves = valueOf(provenLeaves(merkleBlock))
    expect(leaves.map(({ id }) => id)).toEqual(block.transactions.map(({ id }) => id))
    expect(merkleBlock.tree.transactionCount).toBe(leaves.length)
  })

  test('an id, an output and then its spend pass a wallet’s filter', () => {
    const [first] = block.transactions
    if (!first) expect.fail('a block has a coinbase')
    const [output] = first.transaction.outputs
    if (!output) expect.fail('a coinbase has outputs')
    expect(matchTransaction(first, filterOf(first.id, 5)).isShown).toBe(true)
    expect(matchTransaction(first, filterOf(new Uint8Array(32), 5)).isShown).toBe(false)
    const owner = filterOf(output.programHash, 5)
    const { isShown, filter } = matchTransaction(first, owner)
    expect(isShown).toBe(true)
    const spend = {
      ...first,
      id: first.id.map((byte) => byte ^ 1) as typeof first.id,
      transaction: {
        ...first.transaction,
        inputs: [{ transactionId: first.id, index: 0, sequence: 0 }],
        outputs: [],
      },
    }
    expect(matchTransaction(spend, owner).isShown).toBe(false)
    expect(matchTransaction(spend, filter).isShown).toBe(true)
  })

  test('a side chain’s filter looks at outputs and types alone', () => {
    const [first] = block.transactions
    const output = first?.transaction.outputs[0]
    if (!first || !output) expect.fail('a block has a coinbase')
    const tweak = 0xffff_ffff
    expect(matchTransaction(first, filterOf(first.id, tweak)).isShown).toBe(false)
    const { programHash } = output
    expect(matchTransaction(first, filterOf(programHash, tweak)).isShown).toBe(true)
    expect(matchTransaction(first, filterOf(programHash, tweak, [0])).isShown).toBe(true)
    expect(matchTransaction(first, filterOf(programHash, tweak, [8])).isShown).toBe(false)
  })

  test('the tree of another block proves nothing', () => {
    const blocks = merkleblocks.map(({ payload_hex }: { payload_hex: string }) =>
      valueOf(decodeMerkleBlock(fromHex(payload_hex))),
    )
    for (const each of blocks) expect(provenLeaves(each).ok).toBe(true)
    const mixed = { header: blocks[0].header, tree: blocks[1].tree }
    expect(provenLeaves(mixed)).toMatchObject({ fault: { code: 'MAIN_BLOCK_ROOT' } })
  })
})
