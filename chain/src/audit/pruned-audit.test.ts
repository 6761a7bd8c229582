import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { hasOpenings, type PrunedBlock, pruneBlock, transactionsOf } from '../types/pruned-block.ts'
import { transactionListRoot } from '../types/transaction-codec.ts'
import { PayloadKind } from '../types/transactions.ts'
import type { BlockSource } from './audited-node.ts'
import { blockFile, encodeRecord, type ExportRecord, frameRecord } from './export-format.ts'
import {
  anchorOf,
  type CertifiedChain,
  eventfulChain,
  mineHeaders,
} from './testing/certified-chain.ts'
import {
  auditFolder,
  downloadTo,
  newFolder,
  removeFolders,
  writeRecords,
} from './testing/export-folder.ts'
import { peer } from './testing/storage-work.ts'

await installNativeCrypto()
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

/** Height of the newest checkpoint with a FINAL anchor, and of a proof behind it. */
const FINAL = 20
const PROOF = 12

let chain: CertifiedChain
beforeAll(() => {
  chain = eventfulChain()
  const { sample } = chain
  chain.append(anchorOf(sample, chain.records[FINAL] as ExportRecord))
  chain.append([sample.mainHeaders(mineHeaders(sample, 6))])
  chain.append()
})
afterAll(removeFolders)

const withPruned = (record: ExportRecord, pruned: PrunedBlock): ExportRecord => ({
  ...record,
  block: { header: pruned.header, body: { transactions: transactionsOf(pruned) } },
  pruned,
})
const prune = (record: ExportRecord): ExportRecord => {
  const pruned = pruneBlock(record.block)
  return pruned ? withPruned(record, pruned) : record
}
/** The chain as a node has it that has forgotten openings up to a height. */
const prunedTo = (height: number) =>
  chain.records.map((record, at) => (at <= height ? prune(record) : record))

async function auditOf(records: readonly ExportRecord[]) {
  const folder = await newFolder()
  await writeRecords(folder, records)
  return auditFolder(folder)
}
const codeOf = async (records: readonly ExportRecord[]) => (await auditOf(records)).falsehood?.code
const at = (height: number) => chain.records[height] as ExportRecord
const replaced = (height: number, record: ExportRecord) => prunedTo(FINAL).with(height, record)

test('everything is recomputed without openings, and what was not checked is listed', async () => {
  const whole = await auditOf(chain.records)
  const report = await auditOf(prunedTo(FINAL))
  expect(report.falsehood).toBeUndefined()
  expect(whole.unchecked).toEqual([])
  const { transactions, receipts, signatures, minted, burnedService, forfeits, anchors } = whole
  const totals = { transactions, receipts, signatures, minted, burnedService, forfeits, anchors }
  expect(report).toMatchObject(totals)
  expect(report.unchecked).toMatchObject([
    { kind: 'fill', count: 1, of: 1, first: 4, last: 4, transactions: [{ node: peer.address }] },
    { kind: 'prove', count: 1, of: 2, first: PROOF, last: PROOF },
  ])
  const leaves = (lines: readonly string[]) => lines.find((line) => line.includes('leaves'))
  expect(leaves(whole.checked)).toMatch(/^3 proofs/)
  expect(leaves(report.checked)).toMatch(/^1 proofs/)
})

describe('nothing hides behind openings that are gone', () => {
  test('newer ones than a FINAL anchor covers', async () => {
    const records = prunedTo(chain.height)
    expect((await auditOf(records)).falsehood).toMatchObject({
      code: 'PRUNED_TOO_SOON',
      what: expect.stringContaining(`finalTo ${FINAL}`),
    })
  })

  test('a block that never had any', async () => {
    const { block } = at(1)
    const pruned = { header: block.header, transactions: block.body.transactions } as never
    const record = { ...at(1), block, pruned }
    expect((await auditOf(replaced(1, record))).falsehood).toMatchObject({
      height: 1,
      code: 'PRUNED_FOR_NOTHING',
    })
  })

  test('another root of openings, another epoch, node or fee: no signature covers it', async () => {
    const { pruned } = prune(at(PROOF))
    const place = pruned?.transactions.findIndex(
      ({ body }) => body.payload.selector === PayloadKind.prove,
    )
    const [proof] = pruned?.transactions.slice(place, (place ?? 0) + 1) ?? []
    if (!pruned || !proof || place === undefined) throw new Error('the block has a proof')
    const { payload } = proof.body
    const value = payload.value as { openings: Uint8Array; epoch: number }
    const changed = (body: object) => {
      const other = { ...proof, body: { ...proof.body, ...body } } as typeof proof
      const transactions = pruned.transactions.with(place, other)
      return codeOf(replaced(PROOF, withPruned(at(PROOF), { ...pruned, transactions })))
    }
    const otherRoot = { ...payload, value: { ...value, openings: new Uint8Array(32).fill(1) } }
    expect(await changed({ payload: otherRoot })).toBe('SIGNATURE_INVALID')
    const otherEpoch = { ...payload, value: { ...value, epoch: value.epoch - 1 } }
    expect(await changed({ payload: otherEpoch })).toBe('CHALLENGE_NOT_OPEN')
    expect(await changed({ sender: peer.publicKey.with(5, 1) })).toBe('NODE_UNKNOWN')
    expect(await changed({ validUntil: proof.body.validUntil + 1 })).toBe('SIGNATURE_INVALID')
  })

  test('a proof too many, left out or of a closed challenge, signed by all validators', async () => {
    const tip = chain.records.slice(0, PROOF)
    const { block } = at(PROOF)
    const forge = (transactions: typeof block.body.transactions) => {
      const txRoot = transactionListRoot(transactions)
      const header = { ...block.header, txRoot }
      // As if its own certificate were of this header: that is checked elsewhere.
      return prune({
        ...at(PROOF),
        block: { header, body: { transactions } },
        certificate: undefined,
      })
    }
    const [first, ...rest] = block.body.transactions
    if (!first || !hasOpenings(first)) throw new Error('the proof comes first')
    expect(await codeOf([...tip, forge([first, first, ...rest])])).toBe('CHALLENGE_NOT_OPEN')
    expect(await codeOf([...tip, forge([first])])).toBe('BLOCK_ROOT')
  })

  test('any byte of a block without openings', async () => {
    const records = prunedTo(FINAL).slice(0, PROOF + 1)
    const folder = await newFolder()
    await writeRecords(folder, records)
    const path = join(folder, blockFile(0))
    const bytes = await readFile(path)
    const { length } = frameRecord(encodeRecord(records[PROOF] as ExportRecord))
    for (let place = bytes.length - length; place < bytes.length; place += 11) {
      const flipped = Uint8Array.from(bytes)
      flipped[place] = (flipped[place] as number) ^ (1 << (place % 8))
      await writeFile(path, flipped)
      expect((await auditFolder(folder)).falsehood, `byte ${place}`).toBeDefined()
    }
  })
})

describe('a download', () => {
  async function unchecked(archives: readonly BlockSource[]) {
    const folder = await newFolder()
    const node = chain.source(prunedTo(FINAL))
    const downloaded = await downloadTo(folder, node, { archives })
    expect(downloaded.ok).toBe(true)
    const { falsehood, unchecked: found } = await auditFolder(folder)
    expect(falsehood).toBeUndefined()
    return found.map(({ kind }) => kind)
  }

  test('takes openings from whoever still has them', async () => {
    expect(await unchecked([])).toEqual(['fill', 'prove'])
    const half = chain.records.with(PROOF, prune(at(PROOF)))
    expect(await unchecked([chain.source(half)])).toEqual(['prove'])
    expect(await unchecked([chain.source(half), chain.source()])).toEqual([])
  })

  test('is not led astray by one that lies or fails', async () => {
    const shifted = chain.records.map((_, height) => at(Math.max(0, height - 1)))
    const dead = { ...chain.source(), blocks: () => Promise.reject(new Error('not there')) }
    const empty = { ...chain.source(), blocks: () => Promise.resolve([]) }
    const noise = chain.source().blocks
    const cut = {
      ...chain.source(),
      blocks: async (from: number, to: number) =>
        (await noise(from, to)).map((block) => ({ ...block, body: block.body.subarray(9) })),
    }
    expect(await unchecked([chain.source(shifted), dead, empty, cut])).toEqual(['fill', 'prove'])
    expect(await unchecked([cut, dead, chain.source()])).toEqual([])
  })
})
