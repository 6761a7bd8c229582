import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { decodeHeaderWithAuxPow, encodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf, SampleChain, UNITS } from '../rules/testing/sample-chain.ts'
import { blockHash } from '../types/block.ts'
import { type Header, JustificationType, VoteKind } from '../types/consensus-objects.ts'
import { transactionListRoot } from '../types/transaction-codec.ts'
import type { Transaction } from '../types/transactions.ts'
import { type AuditOptions, AuditQuestionError } from './audit-export.ts'
import type { Falsehood } from './audit-report.ts'
import { blockFile, encodeRecord, type ExportRecord, frameRecord } from './export-format.ts'
import {
  CertifiedChain,
  EVENTFUL_HEIGHT,
  eventfulChain,
  relay,
  sameGenesis,
} from './testing/certified-chain.ts'
import { auditFolder, newFolder, removeFolders, writeRecords } from './testing/export-folder.ts'
import { peer } from './testing/storage-work.ts'

await installNativeCrypto()
// Audits are work for the processor, which tests share.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const BLOCKS = blockFile(0)
let chain: CertifiedChain
let folder: string

beforeAll(async () => {
  chain = eventfulChain()
  folder = await newFolder()
  await writeRecords(folder, chain.records)
})
afterAll(removeFolders)

/** What an audit of these records finds. */
async function found(records: readonly ExportRecord[]): Promise<Falsehood | undefined> {
  const other = await newFolder()
  await writeRecords(other, records)
  return (await auditFolder(other)).falsehood
}

const at = (height: number) => chain.records[height] as ExportRecord

/** The chain with one record replaced. */
const replaced = (height: number, record: ExportRecord) => chain.records.with(height, record)

describe('a true export', () => {
  test('holds: everything is counted', async () => {
    const report = await auditFolder(folder)
    expect(report.falsehood).toBeUndefined()
    expect(report).toMatchObject({
      network: 'ci',
      addressPrefix: 'cioex',
      from: 0,
      to: EVENTFUL_HEIGHT,
      blocks: EVENTFUL_HEIGHT + 1,
      transactions: 18,
      receipts: 23,
      certificates: EVENTFUL_HEIGHT - 2,
      mainHeaders: 10,
      epochs: 5,
      beacons: 4,
      anchors: 1,
      forfeits: 1,
      minted: UNITS,
    })
    expect(report.burnedService).toBeGreaterThan(2n * report.minted)
    expect(report.checked.length).toBeGreaterThan(5)
    expect(report.blocksPerSecond).toBeGreaterThan(0)
  })

  test('reports its progress, and one block is an export too', async () => {
    const seen: number[] = []
    const onProgress = (blocks: number, total: number) => {
      expect(total).toBe(EVENTFUL_HEIGHT + 1)
      seen.push(blocks)
    }
    await auditFolder(folder, { onProgress })
    expect(seen).toEqual(chain.records.map((_, height) => height + 1))
    expect(await found(chain.records.slice(0, 1))).toBeUndefined()
  })

  test('over several files', async () => {
    const long = eventfulChain()
    long.runTo(130)
    const other = await newFolder()
    await writeRecords(other, long.records)
    expect(await auditFolder(other)).toMatchObject({ blocks: 131, falsehood: undefined })
    const middle = join(other, blockFile(64))
    const bytes = await readFile(middle)
    await writeFile(middle, bytes.subarray(0, -1))
    expect((await auditFolder(other)).falsehood).toMatchObject({
      file: blockFile(64),
      height: 127,
      code: 'FILE_CUT',
    })
    await rm(middle)
    expect((await auditFolder(other)).falsehood).toMatchObject({
      file: blockFile(64),
      height: 64,
      code: 'FILE_MISSING',
    })
  })
})

describe('questions', () => {
  test('a node by index or address: its statements, epoch by epoch', async () => {
    const { asked } = await auditFolder(folder, { question: { node: 0 } })
    expect(asked.statements.map(({ epoch }) => epoch)).toEqual([1, 2, 3])
    expect(asked.statements[0]).toMatchObject({
      node: relay.address,
      statement: { fees: 10n * UNITS, burned: UNITS, subsidy: UNITS / 2n, subsidyCredited: true },
    })
    // The third subsidy waits for the node's next touch; with several earners it is a share.
    expect(asked.statements[2]?.statement).toMatchObject({
      fees: 10n * UNITS,
      subsidyCredited: false,
      subsidy: UNITS / 2n,
    })
    const byAddress = await auditFolder(folder, { question: { node: peer.address } })
    expect(byAddress.asked.receipts).toBeGreaterThan(2)
  })

  test('an epoch: all who earned in it; a node and an epoch: one statement, if need be empty', async () => {
    const epoch = await auditFolder(folder, { question: { epoch: 2 } })
    expect(epoch.asked.statements.map(({ node }) => bytesToHex(node))).toContain(
      bytesToHex(relay.address),
    )
    const both = await auditFolder(folder, { question: { epoch: 1, node: 0 } })
    expect(both.asked.statements).toMatchObject([{ epoch: 1, statement: { subsidy: UNITS / 2n } }])
    const idle = await auditFolder(folder, { question: { epoch: 5, node: 0 } })
    expect(idle.asked.statements).toMatchObject([{ epoch: 5, statement: { fees: 0n, paid: 0n } }])
    const open = await auditFolder(folder, { question: { epoch: 6, node: peer.address } })
    expect(open.asked).toMatchObject({ statements: [] })
    expect(open.asked.receipts).toBeGreaterThan(0)
  })

  test('a contract: its rails as their receipts add up', async () => {
    const { asked, falsehood } = await auditFolder(folder, { question: { contract: 0 } })
    expect(falsehood).toBeUndefined()
    expect(asked.contract).toMatchObject({
      contract: 0,
      live: true,
      active: true,
      rails: [{ slot: 0, rail: 1, node: peer.address, leaves: 4 }],
    })
    expect(asked.contract?.rails[0]?.fees).toBeGreaterThan(0n)
    expect(asked.contract?.receipts).toHaveLength(1)
  })

  test('what the chain does not have is an error, never silence', async () => {
    for (const question of [
      { node: 9 },
      { node: new Uint8Array(20) },
      { contract: 3 },
      { epoch: 7 },
    ]) {
      await expect(auditFolder(folder, { question })).rejects.toThrow(AuditQuestionError)
    }
  })
})

describe('flipped bytes', () => {
  async function findsFlip(
    file: string,
    position: number,
    mask: number,
    options: Partial<AuditOptions> = {},
  ): Promise<void> {
    const path = join(folder, file)
    const bytes = await readFile(path)
    const place = position % bytes.length
    const flipped = Uint8Array.from(bytes)
    flipped[place] = (flipped[place] as number) ^ mask
    await writeFile(path, flipped)
    try {
      const { falsehood } = await auditFolder(folder, options)
      expect(falsehood, `byte ${place} of ${file}`).toBeDefined()
      expect(falsehood?.what).not.toBe('')
    } finally {
      await writeFile(path, bytes)
    }
  }
  const mask = fc.integer({ min: 1, max: 255 })

  test('anywhere in the blocks', async () => {
    const position = fc.nat(2 ** 30)
    await fc.assert(
      fc.asyncProperty(position, mask, (place, bits) => findsFlip(BLOCKS, place, bits)),
      { numRuns: 100 },
    )
  })

  test('every byte of the manifest and of the genesis file', async () => {
    // Found before any block is replayed, so that one genesis serves for all.
    const genesis = sameGenesis()
    for (const file of ['manifest.json', 'genesis.json']) {
      const { length } = await readFile(join(folder, file))
      for (let place = 0; place < length; place++) {
        await findsFlip(file, place, 1 + (place % 255), { genesis })
      }
    }
  })

  test('all over a block with its certificates', async () => {
    const offset = [0, 1, 2].reduce((sum, height) => sum + framedLength(at(height)), 0)
    const small = await newFolder()
    await writeRecords(small, chain.records.slice(0, 4))
    const path = join(small, BLOCKS)
    const bytes = await readFile(path)
    for (let place = offset; place < bytes.length; place += 13) {
      const flipped = Uint8Array.from(bytes)
      flipped[place] = (flipped[place] as number) ^ (1 << (place % 8))
      await writeFile(path, flipped)
      expect((await auditFolder(small)).falsehood, `byte ${place}`).toBeDefined()
    }
  })
})

const framedLength = (record: ExportRecord) => frameRecord(encodeRecord(record)).length

describe('blocks left out, moved, cut', () => {
  test('a dropped block', async () => {
    expect(await found(chain.records.toSpliced(12, 1))).toMatchObject({
      file: BLOCKS,
      height: 12,
      code: 'BLOCK_HEIGHT',
    })
    const other = await newFolder()
    await writeRecords(other, chain.records)
    const frames = chain.records.toSpliced(12, 1).map((record) => frameRecord(encodeRecord(record)))
    await writeFile(join(other, BLOCKS), Buffer.concat(frames))
    expect((await auditFolder(other)).falsehood).toMatchObject({ height: 12 })
  })

  test('two blocks in each other’s place', async () => {
    const swapped = chain.records.with(7, at(8)).with(8, at(7))
    expect(await found(swapped)).toMatchObject({ height: 7, code: 'BLOCK_HEIGHT' })
  })

  test('a file cut anywhere', async () => {
    const other = await newFolder()
    await writeRecords(other, chain.records)
    const path = join(other, BLOCKS)
    const { length } = await readFile(path)
    for (const size of [length - 1, length - 700, 3000, 5, 3, 0]) {
      await truncate(path, size)
      const { falsehood } = await auditFolder(other)
      expect(falsehood).toMatchObject({ file: BLOCKS, code: 'FILE_CUT' })
    }
  })

  test('bytes, blocks and files too many', async () => {
    const other = await newFolder()
    const write = () => writeRecords(other, chain.records)
    await write()
    const path = join(other, BLOCKS)
    const bytes = await readFile(path)
    await writeFile(path, Buffer.concat([bytes, Buffer.of(0)]))
    expect((await auditFolder(other)).falsehood).toMatchObject({ code: 'TRAILING_BYTES' })
    const again = frameRecord(encodeRecord(chain.tip))
    await writeFile(path, Buffer.concat([bytes, again]))
    expect((await auditFolder(other)).falsehood).toMatchObject({ code: 'TRAILING_BYTES' })
    // Within a record: its length grows with it.
    const [first] = chain.records
    const record = Buffer.concat([encodeRecord(first as ExportRecord), Buffer.of(0)])
    const rest = bytes.subarray(record.length + 3)
    await writeFile(path, Buffer.concat([frameRecord(record), rest]))
    expect((await auditFolder(other)).falsehood).toMatchObject({ height: 0 })
    await write()
    for (const file of [blockFile(64), 'blocks/notes.txt', 'notes.txt']) {
      await writeFile(join(other, file), 'x')
      expect((await auditFolder(other)).falsehood).toMatchObject({ file, code: 'FILE_STRAY' })
      await rm(join(other, file))
    }
    expect((await auditFolder(other)).falsehood).toBeUndefined()
  })

  test('a length that would fill the memory is refused before anything is allocated', async () => {
    const other = await newFolder()
    await writeRecords(other, chain.records)
    const path = join(other, BLOCKS)
    const bytes = await readFile(path)
    bytes.writeUInt32LE(0xffff_ffff, 0)
    await writeFile(path, bytes)
    expect((await auditFolder(other)).falsehood).toMatchObject({ code: 'RECORD_TOO_LONG' })
  })

  test('an export that is none', async () => {
    expect((await auditFolder(await newFolder())).falsehood).toMatchObject({
      file: 'manifest.json',
      code: 'FILE_MISSING',
    })
  })
})

describe('certificates', () => {
  const withCertificate = (
    height: number,
    change: (hash: Uint8Array, header: Header) => unknown,
  ) => {
    const record = at(height)
    const certificate = change(blockHash(record.block.header), record.block.header)
    return found(replaced(height, { ...record, certificate: certificate as never }))
  }

  test('forged ones', async () => {
    const wrong = await withCertificate(9, (hash, { epoch, view }) => {
      const good = chain.certify(VoteKind.finalize, epoch, view, hash)
      return { ...good, signatures: good.signatures.map(() => new Uint8Array(64).fill(7)) }
    })
    expect(wrong).toMatchObject({ file: BLOCKS, height: 9, code: 'CERTIFICATE_INVALID' })
    const other = await withCertificate(9, (_, { epoch, view }) =>
      chain.certify(VoteKind.finalize, epoch, view, new Uint8Array(32)),
    )
    expect(other).toMatchObject({ height: 9, code: 'CERTIFICATE_OTHER' })
    const notarized = await withCertificate(9, (hash, { epoch, view }) =>
      chain.certify(VoteKind.notarize, epoch, view, hash),
    )
    expect(notarized).toMatchObject({ height: 9, code: 'CERTIFICATE_OTHER' })
    const later = await withCertificate(9, (hash, { epoch, view }) =>
      chain.certify(VoteKind.finalize, epoch, view + 1, hash),
    )
    expect(later).toMatchObject({ height: 9, code: 'CERTIFICATE_OTHER' })
  })

  test('by too few, by the same twice, by nobody', async () => {
    const good = at(9).certificate
    if (!good) throw new Error('block 9 is certified')
    const [one, two] = good.signatures as [Uint8Array, Uint8Array, Uint8Array]
    for (const change of [
      { signers: Uint8Array.of(0b0011), signatures: [one, two] },
      { signers: Uint8Array.of(0b1011), signatures: [one, one, two] },
      { signers: Uint8Array.of(0), signatures: [] },
      { signers: Uint8Array.of(0b1011, 0), signatures: good.signatures },
      { scheme: 2 },
    ]) {
      const forged = await withCertificate(9, () => ({ ...good, ...change }))
      expect(forged).toMatchObject({ height: 9, code: 'CERTIFICATE_INVALID' })
    }
  })

  test('none at the end, none at an epoch’s end; one in between may be left out', async () => {
    const bare = (height: number) =>
      found(replaced(height, { ...at(height), certificate: undefined }))
    expect(await bare(EVENTFUL_HEIGHT)).toMatchObject({
      height: EVENTFUL_HEIGHT,
      code: 'END_UNCERTIFIED',
    })
    expect(await bare(20)).toMatchObject({ height: 20, code: 'CHECKPOINT_UNCERTIFIED' })
    expect(await bare(17)).toBeUndefined()
  })

  test('a justification that is not the block’s, even where the header commits to it', async () => {
    const record = at(9)
    const empty = { parent: [], skips: [] }
    expect(await found(replaced(9, { ...record, justification: empty }))).toMatchObject({
      height: 9,
      code: 'JUSTIFICATION_ROOT',
    })
    const justHash = JustificationType.hashTreeRoot(empty)
    const header = { ...record.block.header, justHash }
    const forged = { ...record, justification: empty, block: { ...record.block, header } }
    expect(await found(replaced(9, forged))).toMatchObject({ code: 'JUSTIFICATION_INVALID' })
  })
})

describe('contents', () => {
  test('roots changed and links mended, without the validators’ keys', async () => {
    for (const name of ['stateRoot', 'receiptRoot', 'historyRoot', 'epochDataRoot'] as const) {
      const records = [...chain.records]
      let parentHash: Uint8Array | undefined
      for (let height = 33; height <= EVENTFUL_HEIGHT; height++) {
        const { block, justification, certificate } = at(height)
        const change = parentHash ? { parentHash } : { [name]: new Uint8Array(32).fill(9) }
        const header = { ...block.header, ...change }
        parentHash = blockHash(header)
        const named = certificate && {
          ...certificate,
          statement: { ...certificate.statement, hash: parentHash },
        }
        records[height] = { block: { ...block, header }, justification, certificate: named }
      }
      expect(await found(records)).toMatchObject({ height: 33, code: 'CERTIFICATE_INVALID' })
    }
  })

  test('roots that the validators themselves signed wrongly', async () => {
    for (const name of ['stateRoot', 'receiptRoot', 'txRoot', 'validatorsHash'] as const) {
      const record = chain.forgeTip({ header: { [name]: new Uint8Array(32).fill(9) } })
      expect(await found(replaced(EVENTFUL_HEIGHT, record))).toMatchObject({
        height: EVENTFUL_HEIGHT,
        code: 'BLOCK_ROOT',
        what: expect.stringContaining(name),
      })
    }
    const time = chain.forgeTip({ header: { timeMs: 1 } })
    expect(await found(replaced(EVENTFUL_HEIGHT, time))).toMatchObject({ code: 'BLOCK_TIME' })
    const { proposer } = chain.tip.block.header
    const led = chain.forgeTip({ header: { proposer: (proposer + 1) % 4 } })
    expect(await found(replaced(EVENTFUL_HEIGHT, led))).toMatchObject({ code: 'BLOCK_LEADER' })
  })

  test('a transaction altered: by anyone, and by all validators together', async () => {
    const { block } = at(22)
    const [, , transfer] = block.body.transactions
    const altered = alter(transfer as Transaction)
    const transactions = block.body.transactions.with(2, altered)
    const record = { ...at(22), block: { ...block, body: { transactions } } }
    expect(await found(replaced(22, record))).toMatchObject({ file: BLOCKS, height: 22 })

    const short = new CertifiedChain()
    const { sample } = short
    const value = { to: relay.address, amount: 5n }
    short.append([sample.byOwner(keyOf('alice'), { selector: 0, value })])
    const [honest] = short.tip.block.body.transactions as [Transaction]
    const forged = [alter(honest)]
    const tip = short.forgeTip({
      transactions: forged,
      header: { txRoot: transactionListRoot(forged) },
    })
    expect(await found([...short.records.slice(0, -1), tip])).toMatchObject({
      height: 1,
      code: 'SIGNATURE_INVALID',
    })
  })

  test('a main header without its work, signed by all validators', async () => {
    const short = new CertifiedChain()
    const { sample } = short
    const raw = sample.main.mine(sample.main.tip.time + 30)
    short.append([sample.mainHeaders([raw])])
    const forge = (change: (bytes: Uint8Array) => Uint8Array) => {
      const transactions = [sample.mainHeaders([change(raw)])]
      const txRoot = transactionListRoot(transactions)
      const tip = short.forgeTip({ transactions, header: { txRoot } })
      return found([...short.records.slice(0, -1), tip])
    }
    const decoded = decodeHeaderWithAuxPow(raw)
    if (!decoded.ok) throw new Error(decoded.fault.message)
    const { header, auxPow } = decoded.value
    const otherNonce = { ...header, nonce: header.nonce + 1 }
    // The work was done for another header.
    expect(await forge(() => encodeHeaderWithAuxPow(otherNonce, auxPow))).toMatchObject({
      height: 1,
      code: 'MAIN_AUXPOW_ROOT',
    })
    const parentHeader = Uint8Array.from(auxPow.parentHeader)
    parentHeader[40] = (parentHeader[40] as number) ^ 1
    const forged = await forge(() => encodeHeaderWithAuxPow(header, { ...auxPow, parentHeader }))
    expect(forged?.code).toMatch(/^MAIN_(AUXPOW_COINBASE|HEADER_WORK)$/)
    expect(await forge((bytes) => Uint8Array.of(...bytes, 0))).toMatchObject({
      code: 'MAIN_HEADER_TRAILING',
    })
  })
})

describe('another genesis', () => {
  test('than the trusted one', async () => {
    const { genesis } = new SampleChain({ balances: { mallory: UNITS } })
    expect((await auditFolder(folder, { genesis })).falsehood).toMatchObject({
      file: 'manifest.json',
      code: 'CHAIN_OTHER',
    })
    const genesisText = '{ "another": "genesis file" }'
    expect((await auditFolder(folder, { genesisText })).falsehood).toMatchObject({
      file: 'genesis.json',
      code: 'GENESIS_OTHER',
    })
  })

  test('in block 0, or blocks of another chain', async () => {
    const other = new CertifiedChain({ balances: { mallory: UNITS } })
    other.runTo(2)
    expect(await found(other.records)).toMatchObject({ height: 0, code: 'GENESIS_OTHER' })
    expect(await found(chain.records.with(2, other.tip))).toMatchObject({
      height: 2,
      code: 'BLOCK_CHAIN',
    })
  })
})

function alter(transaction: Transaction): Transaction {
  const { body, signature } = transaction
  if (body.payload.selector !== 0) throw new Error('only transfers are altered here')
  const { to, amount } = body.payload.value
  return {
    body: { ...body, payload: { selector: 0, value: { to, amount: amount + 1n } } },
    signature,
  }
}
