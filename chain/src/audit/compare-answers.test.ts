import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { type Receipt, ReceiptType } from '../types/receipts.ts'
import { isAsked } from './asked-receipts.ts'
import type { AuditQuestion } from './audit-export.ts'
import type { ServedAnswers, StatementSums } from './audited-node.ts'
import { ChainReplay } from './chain-replay.ts'
import { EVENTFUL_HEIGHT, eventfulChain, relay, sameGenesis } from './testing/certified-chain.ts'
import { auditFolder, newFolder, removeFolders, writeRecords } from './testing/export-folder.ts'

await installNativeCrypto()
// Audits are work for the processor, which tests share.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const NODE = 'http://node.example'
let folder: string
let receipts: Receipt[]

beforeAll(async () => {
  const chain = eventfulChain()
  folder = await newFolder()
  await writeRecords(folder, chain.records)
  const replay = new ChainReplay(sameGenesis())
  receipts = chain.records.flatMap((record) => {
    const left = replay.apply(record)
    if (!left.ok) throw new Error(left.fault.message)
    return left.value
  })
})
afterAll(removeFolders)

/** A node that answers from these receipts and says this of statements. */
function nodeOf(
  served: readonly Receipt[],
  statement: (own: StatementSums) => StatementSums = (own) => own,
): ServedAnswers {
  return {
    name: NODE,
    async *receipts(question) {
      for (const receipt of served) {
        if (isAsked(receipt, question)) yield ReceiptType.serialize(receipt)
      }
    },
    async statement(node, epoch) {
      const { asked } = await auditFolder(folder, { question: { node, epoch } })
      return statement(asked.statements[0]?.statement as StatementSums)
    },
  }
}

const ask = (answers: ServedAnswers, question: AuditQuestion = {}) =>
  auditFolder(folder, { answers, question })

describe('a node’s answers', () => {
  test('that are true', async () => {
    for (const question of [
      {},
      { node: 0 },
      { epoch: 2 },
      { contract: 0 },
      { node: 1, epoch: 6 },
    ]) {
      const { falsehood, checked } = await ask(nodeOf(receipts), question)
      expect(falsehood).toBeUndefined()
      expect(checked.at(-1)).toContain(NODE)
    }
  })

  test('receipts newer than the export say nothing about it', async () => {
    const [first] = receipts as [Receipt]
    const newer = { ...first, height: EVENTFUL_HEIGHT + 1 }
    expect((await ask(nodeOf([...receipts, newer]))).falsehood).toBeUndefined()
  })

  test('a receipt changed, left out, doubled, or without form', async () => {
    const at = receipts.findIndex(({ body }) => body.selector === 2)
    const relayReceipt = receipts[at] as Receipt
    const { value } = relayReceipt.body as Extract<Receipt['body'], { selector: 2 }>
    const raised: Receipt = {
      ...relayReceipt,
      body: { selector: 2, value: { ...value, paid: value.paid + 1n } },
    }
    const { height } = relayReceipt
    expect((await ask(nodeOf(receipts.with(at, raised)))).falsehood).toMatchObject({
      file: NODE,
      height,
      code: 'RECEIPT_OTHER',
    })
    const without = nodeOf(receipts.toSpliced(at, 1))
    expect((await ask(without, { node: 0 })).falsehood).toMatchObject({ code: 'RECEIPT_OTHER' })
    expect((await ask(nodeOf([]))).falsehood).toMatchObject({ code: 'RECEIPTS_MISSING' })
    const doubled = nodeOf([...receipts, receipts.at(-1) as Receipt])
    expect((await ask(doubled)).falsehood).toMatchObject({ code: 'RECEIPT_OTHER' })
    const noise: ServedAnswers = {
      ...nodeOf([]),
      async *receipts() {
        yield new Uint8Array(3)
      },
    }
    expect((await ask(noise)).falsehood).toMatchObject({ code: 'RECEIPT_MALFORMED' })
  })

  test('a statement that says more', async () => {
    const more = nodeOf(receipts, (own) => ({ ...own, paid: own.paid + 1n }))
    expect((await ask(more, { node: relay.address, epoch: 1 })).falsehood).toMatchObject({
      file: NODE,
      code: 'STATEMENT_OTHER',
      what: expect.stringContaining('paid'),
    })
  })
})
