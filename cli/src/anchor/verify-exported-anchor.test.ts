import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { sideChainPowTransaction } from '@ioex/chain/arbiter'
import { blockFile, type ExportRecord, MANIFEST_FILE, type ReplayedBlock } from '@ioex/chain/audit'
import {
  asInternalHash,
  decodeHeaderWithAuxPow,
  decodeTransaction,
  LOCAL_ARBITER_SECRETS,
  merkleBranch,
  merkleRoot,
  p256PublicKey,
  standardProgramHash,
} from '@ioex/chain/elastos'
import { blockHash, HeaderType, PayloadKind, type Transaction } from '@ioex/chain/types'
import { genesisFileText } from '@ioex/genesis/builder'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CertifiedChain, eventfulChain } from '../../../chain/src/audit/testing/certified-chain.ts'
import {
  newFolder,
  removeFolders,
  writeRecords,
} from '../../../chain/src/audit/testing/export-folder.ts'
import { runAudit } from '../audit/run-audit.ts'
import { runCommandLine } from '../program.ts'
import { verifyExportedAnchor } from './verify-exported-anchor.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

const CHECKPOINT = 10
const HEADERS_ON_TOP = 3

/** The transaction of an arbiter, in a block of two, and headers on top. */
function anchoredByArbiter(): CertifiedChain {
  const chain = new CertifiedChain()
  const { sample } = chain
  chain.runTo(CHECKPOINT)
  const checkpointHash = blockHash(chain.tip.block.header)
  chain.append()
  const [arbiter] = LOCAL_ARBITER_SECRETS as [Uint8Array]
  const checkpoint = {
    hash: asInternalHash(checkpointHash),
    genesisHash: asInternalHash(sample.chainId),
    height: 0,
  }
  const payTo = standardProgramHash(p256PublicKey(arbiter))
  const transaction = sideChainPowTransaction(checkpoint, arbiter, payTo)
  const decoded = decodeTransaction(transaction)
  if (!decoded.ok) throw new Error(decoded.fault.message)
  const ids = [asInternalHash(new Uint8Array(32).fill(7)), decoded.value.id]
  const mine = (root?: ReturnType<typeof merkleRoot>) =>
    sample.mainHeaders([sample.main.mine(sample.main.tip.time + 30, root)])
  chain.append([mine(merkleRoot(ids))])
  const value = {
    epoch: 1,
    checkpointHash,
    transaction,
    branch: merkleBranch(ids, 1),
    branchIndex: 1,
    mainHeight: sample.main.tip.height,
  }
  chain.append([sample.bySystem({ selector: PayloadKind.anchor, value })])
  for (let i = 0; i < HEADERS_ON_TOP; i++) chain.append([mine()])
  return chain
}

let memo: CertifiedChain
let arbiter: CertifiedChain
let genesisFile: string

beforeAll(async () => {
  memo = eventfulChain()
  arbiter = anchoredByArbiter()
  genesisFile = join(await newFolder(), 'genesis.json')
  await writeFile(genesisFile, genesisText())
})
afterAll(removeFolders)

const genesisText = () => genesisFileText('ci', memo.sample.document)

async function exported(records: readonly ExportRecord[]): Promise<string> {
  const folder = await newFolder()
  await writeRecords(folder, records, genesisText())
  return folder
}

const verify = (folder: string, epoch: number) =>
  verifyExportedAnchor({
    folder,
    epoch,
    replay: (onBlock) => runAudit({ genesisFile, exportFolder: folder, onBlock }),
  })

/** The code with which an export is refused; 'ok' where the anchor holds. */
const codeOf = (folder: string, epoch = 1) =>
  verify(folder, epoch).then(
    ({ valid, code }) => (valid ? 'ok' : code),
    ({ code, name }: { code?: string; name: string }) => code ?? name,
  )

describe('an anchor in an export', () => {
  test('by memo: every link holds, with no node', async () => {
    const verdict = await verify(await exported(memo.records), 1)
    expect(verdict).toMatchObject({ valid: true, epoch: 1, asked: 1, method: 'memo' })
    expect(verdict.checks.every(({ ok }) => ok)).toBe(true)
    expect(verdict.checks.length).toBeGreaterThan(11)
    expect(verdict.confirmations).toBe(verdict.headersChecked)
  })

  test('by an arbiter; a later anchor covers an earlier epoch', async () => {
    const folder = await exported(arbiter.records)
    const verdict = await verify(folder, 1)
    expect(verdict).toMatchObject({
      valid: true,
      method: 'sideChainPow',
      headersChecked: HEADERS_ON_TOP + 1,
      confirmations: HEADERS_ON_TOP + 1,
    })
    expect(verdict.checks.map(({ name }) => name)).toContain('an arbiter of the network signed it')
    expect(await verify(folder, 0)).toMatchObject({ valid: true, epoch: 1, asked: 0 })
  })

  test('what is not there is said plainly', async () => {
    const folder = await exported(memo.records)
    expect(await codeOf(folder, 2)).toBe('NOT_ANCHORED')
    expect(await codeOf(folder, 99)).toBe('EPOCH_OPEN')
    expect(await codeOf(await exported(memo.records.slice(0, 12)), 1)).toBe('NOT_ANCHORED')
    expect(await codeOf(await newFolder(), 1)).toBe('NO_EXPORT')
  })

  test('the command needs nothing but the folder and the genesis file', async () => {
    const run = async (epoch: number) => {
      const stdout = new PassThrough()
      const stderr = new PassThrough()
      const from = await exported(arbiter.records)
      const flags = ['--from', from, '--trust-anchor', genesisFile, '--json']
      const code = await runCommandLine(['anchor', 'verify', String(epoch), ...flags], {
        stdin: Readable.from([]),
        stdout: stdout as never,
        stderr: stderr as never,
        env: {},
        folder: from,
      })
      return { code, out: String(stdout.read()), err: String(stderr.read()) }
    }
    const { code, out } = await run(1)
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ valid: true, epoch: 1, method: 'sideChainPow' })
    expect((await run(2)).code).toBe(1)
  })
})

/** Bytes of the arbiter's export that prove the anchor, by name. */
function parts(): Readonly<Record<string, Uint8Array>> {
  const transactions = arbiter.records.flatMap(({ block }) => block.body.transactions)
  const payloads = transactions.map(({ body }: Transaction) => body.payload)
  const anchor = payloads.find(({ selector }) => selector === PayloadKind.anchor)
  const headers = payloads.flatMap((payload) =>
    payload.selector === PayloadKind.mainHeaders ? payload.value.headers : [],
  )
  const [own, top] = [headers.at(-1 - HEADERS_ON_TOP), headers.at(-1)]
  const { block, certificate } = arbiter.records[CHECKPOINT] as ExportRecord
  if (anchor?.selector !== PayloadKind.anchor || !own || !top || !certificate) {
    throw new Error('the export holds an anchor')
  }
  const decoded = decodeHeaderWithAuxPow(own)
  if (!decoded.ok) throw new Error(decoded.fault.message)
  return {
    'checkpoint header': HeaderType.serialize(block.header),
    'a signature of its certificate': certificate.signatures[0] as Uint8Array,
    'main-chain transaction': anchor.value.transaction,
    'Merkle branch': anchor.value.branch[0] as Uint8Array,
    'main header with its AuxPow': own,
    'AuxPow of the main header': own.subarray(-80),
    'newest main header': top,
  }
}

describe('a changed byte', () => {
  test('in any part of the proof is refused', async () => {
    const folder = await exported(arbiter.records)
    const file = join(folder, blockFile(0))
    const bytes = await readFile(file)
    for (const [name, part] of Object.entries(parts())) {
      const start = bytes.indexOf(part)
      expect(start, name).toBeGreaterThan(-1)
      for (const at of [0, part.length >> 1, part.length - 1]) {
        const changed = Buffer.from(bytes)
        changed[start + at] = (changed[start + at] as number) ^ 1
        await writeFile(file, changed)
        expect(await codeOf(folder), `${name}, byte ${at}`).toBe('AUDIT_FALSEHOOD')
      }
    }
    await writeFile(file, bytes)
    expect(await codeOf(folder)).toBe('ok')
  })

  test('anywhere in the export is refused', async () => {
    const folder = await exported(arbiter.records)
    const files = [blockFile(0), MANIFEST_FILE, 'genesis.json']
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (name, place, mask) => {
          const path = join(folder, name)
          const bytes = await readFile(path)
          const changed = Buffer.from(bytes)
          const at = place % bytes.length
          changed[at] = (changed[at] as number) ^ mask
          await writeFile(path, changed)
          const code = await codeOf(folder)
          await writeFile(path, bytes)
          expect(code).toBe('AUDIT_FALSEHOOD')
        },
      ),
      { numRuns: 25 },
    )
  })

  test('or a file that is gone', async () => {
    const folder = await exported(arbiter.records)
    await rm(join(folder, blockFile(0)))
    expect(await codeOf(folder)).toBe('AUDIT_FALSEHOOD')
  })

  test('between the two readings is noticed', async () => {
    const folder = await exported(arbiter.records)
    const replay = async (onBlock: (block: ReplayedBlock) => void) => {
      const report = await runAudit({ genesisFile, exportFolder: folder, onBlock })
      await writeRecords(folder, memo.records, genesisText())
      return report
    }
    const outcome = verifyExportedAnchor({ folder, epoch: 1, replay })
    await expect(outcome).rejects.toMatchObject({ code: 'EXPORT_CHANGED' })
  })
})
