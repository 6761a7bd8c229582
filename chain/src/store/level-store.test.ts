import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import type { CommitBatch, CommittedBlock } from '../manager/chain-store.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { SupplyTermsType } from '../types/records.ts'
import { type Receipt, ReceiptKind, ReceiptType } from '../types/receipts.ts'
import { LevelStore, StoreError } from './level-store.ts'
import { RECEIPT_READS_MAX } from './receipt-query.ts'

const folders: string[] = []
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ioex-store-'))
  folders.push(path)
  return path
}
afterEach(async () => {
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true })
})

const node = (seed: number) => new Uint8Array(20).fill(seed)
const hash = (seed: number) => new Uint8Array(32).fill(seed)

function proof(height: number, index: number, seed: number): Receipt {
  const value = { node: node(seed), epoch: 1, epochs: 1, A: 1, P: 1, bytes: 9, debt: 0n }
  return { height, epoch: 1, transaction: 0, index, body: { selector: ReceiptKind.proof, value } }
}

function block(height: number, receipts: Receipt[] = []): CommittedBlock {
  return {
    height,
    hash: hash(height),
    block: Uint8Array.of(1, height),
    justification: Uint8Array.of(2, height),
    certificate: height % 2 === 0 ? Uint8Array.of(3, height) : undefined,
    reproposals: new Uint8Array(0),
    transactionIds: [bytesToHex(hash(100 + height))],
    receipts,
    ...(height === 2 && { supply: { ...SupplyTermsType.defaultValue(), minted: 5n } }),
  }
}

const batch = (...blocks: CommittedBlock[]): CommitBatch => ({ blocks, state: [] })

/** Both databases answer alike. */
describe.each([
  ['on disk', async () => LevelStore.open(await folder())],
  ['in memory', () => LevelStore.inMemory()],
])('level store %s', (_, open) => {
  test('gives back what one commit wrote', async () => {
    const store = await open()
    expect(await store.tipHeight()).toBeUndefined()
    await store.commit(batch(block(1, [proof(1, 0, 7)]), block(2)))
    expect(await store.tipHeight()).toBe(2)
    expect(await store.block(1)).toMatchObject({ hash: hash(1), certificate: undefined })
    expect(await store.block(2)).toMatchObject({ certificate: Uint8Array.of(3, 2) })
    expect(await store.block(3)).toBeUndefined()
    expect(await store.supplyAt(2)).toMatchObject({ genesisSupply: 0n, minted: 5n })
    expect(await store.supplyAt(1)).toBeUndefined()
    expect(await store.heightOf(bytesToHex(hash(2)))).toBe(2)
    expect(await store.transaction(bytesToHex(hash(101)))).toEqual({ height: 1, index: 0 })
    expect(await store.receiptsAt(1)).toEqual([proof(1, 0, 7)])
    const id = bytesToHex(ReceiptType.hashTreeRoot(proof(1, 0, 7)))
    expect(await store.receipt(id)).toEqual(proof(1, 0, 7))
    expect(await store.receipt(bytesToHex(ZERO_HASH))).toBeUndefined()
    await store.close()
  })

  test('keeps, replaces and deletes state entries', async () => {
    const store = await open()
    const state = [
      { key: 'a1', bytes: Uint8Array.of(1) },
      { key: 'b1', bytes: Uint8Array.of(2) },
    ]
    await store.commit({ blocks: [block(1)], state })
    await store.commit({ blocks: [block(2)], state: [{ key: 'a1', bytes: null }] })
    const entries = (await Array.fromAsync(store.stateEntries())).flat()
    expect(entries).toEqual([{ key: 'b1', bytes: Uint8Array.of(2) }])
    await store.close()
  })

  test('finds receipts by node, height and kind, page by page', async () => {
    const store = await open()
    await store.commit(
      batch(block(1, [proof(1, 0, 7), proof(1, 1, 8)]), block(2, [proof(2, 0, 7)]), block(3)),
    )
    const all = { fromHeight: 0, toHeight: 9 }
    const ofNode = await store.receipts({ ...all, node: node(7) }, undefined, 10)
    expect(ofNode.receipts).toEqual([proof(1, 0, 7), proof(2, 0, 7)])
    const page = await store.receipts(all, undefined, 2)
    expect(page.receipts).toHaveLength(2)
    expect((await store.receipts(all, page.next, 2)).receipts).toEqual([proof(2, 0, 7)])
    const late = await store.receipts({ fromHeight: 2, toHeight: 2 }, undefined, 10)
    expect(late.receipts).toEqual([proof(2, 0, 7)])
    expect((await store.receipts({ ...all, kind: 'relay' }, undefined, 10)).receipts).toEqual([])
    await store.close()
  })

  test('looks at a bounded number of receipts for a page', async () => {
    const store = await open()
    const many = Array.from({ length: RECEIPT_READS_MAX + 3 }, (_, index) => proof(1, index, 7))
    await store.commit(batch(block(1, many)))
    const relays = { fromHeight: 0, toHeight: 9, kind: 'relay' } as const
    const page = await store.receipts(relays, undefined, 10)
    expect(page).toEqual({ receipts: [], next: { height: 1, index: RECEIPT_READS_MAX } })
    expect(await store.receipts(relays, page.next, 10)).toEqual({ receipts: [], next: undefined })
    await store.close()
  })
})

describe('a database folder', () => {
  test('is opened by one process at a time', async () => {
    const path = await folder()
    const store = await LevelStore.open(path)
    await expect(LevelStore.open(path)).rejects.toThrow(/in use by another process/)
    await store.close()
  })

  test('that is damaged is refused with what to do', async () => {
    const path = await folder()
    const store = await LevelStore.open(path)
    await store.commit(batch(block(1)))
    await store.close()
    for (const file of await readdir(path)) {
      if (file.startsWith('MANIFEST')) await writeFile(join(path, file), 'not a manifest')
    }
    await expect(LevelStore.open(path)).rejects.toThrow(StoreError)
    await expect(LevelStore.open(path)).rejects.toThrow(/move the folder away/)
  })
})
