import { readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { BlockSource } from './audited-node.ts'
import { blockFile, parseManifest } from './export-format.ts'
import { CertifiedChain } from './testing/certified-chain.ts'
import {
  auditFolder,
  downloadTo,
  newFolder,
  removeFolders,
  writeRecords,
} from './testing/export-folder.ts'

await installNativeCrypto()
// Audits are work for the processor, which tests share.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const HEIGHT = 140
let chain: CertifiedChain
/** The export written in one go. */
let whole: string

beforeAll(async () => {
  chain = new CertifiedChain()
  chain.runTo(HEIGHT)
  whole = await newFolder()
  await writeRecords(whole, chain.records)
})
afterAll(removeFolders)

const download = (folder: string, node: BlockSource = chain.source(), to?: number) =>
  downloadTo(folder, node, { to })

async function contents(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const files = new Map<string, string>()
  for (const name of names.sort()) {
    files.set(name.slice(folder.length + 1), (await readFile(name)).toString('hex'))
  }
  return files
}

/** A node that goes away after some answers. */
function failingAfter(answers: number): BlockSource {
  const source = chain.source()
  let given = 0
  return {
    ...source,
    blocks: (from, to) =>
      given++ < answers ? source.blocks(from, to) : Promise.reject(new Error('gone')),
  }
}

describe('a download', () => {
  test('writes the same bytes in one go as in pieces', async () => {
    const folder = await newFolder()
    const seen: number[] = []
    const done = await downloadTo(folder, chain.source(), {
      onProgress: (height, to) => {
        expect(to).toBe(HEIGHT)
        seen.push(height)
      },
    })
    expect(done).toMatchObject({ ok: true, value: { lastHeight: HEIGHT } })
    expect(seen.at(-1)).toBe(HEIGHT)
    expect(await contents(folder)).toEqual(await contents(whole))
    expect(await auditFolder(folder)).toMatchObject({ falsehood: undefined, to: HEIGHT })
  })

  test('goes on after an interruption, and what it left is no export', async () => {
    const folder = await newFolder()
    await expect(download(folder, failingAfter(12))).rejects.toThrow('gone')
    expect((await auditFolder(folder)).falsehood).toMatchObject({ code: 'FILE_MISSING' })
    const asked: number[] = []
    const source = chain.source()
    const counted: BlockSource = {
      ...source,
      blocks(from, to) {
        asked.push(from)
        return source.blocks(from, to)
      },
    }
    expect(await download(folder, counted)).toMatchObject({ ok: true })
    expect(asked[0]).toBe(64)
    expect(await contents(folder)).toEqual(await contents(whole))
  })

  test('goes on whatever a crash left behind', async () => {
    const folder = await newFolder()
    await expect(download(folder, failingAfter(12))).rejects.toThrow('gone')
    // A file whose manifest was not written any more, and halves of atomic writes.
    await writeFile(join(folder, blockFile(64)), 'half')
    await writeFile(join(folder, 'blocks', '00000064-00000127.bin.123456'), 'x')
    await writeFile(join(folder, 'manifest.partial.json.99'), 'x')
    expect(await download(folder)).toMatchObject({ ok: true })
    expect(await contents(folder)).toEqual(await contents(whole))
  })

  test('takes up an older export, also in the middle of a file and at its end', async () => {
    for (const to of [0, 17, 63, 64, 127]) {
      const folder = await newFolder()
      expect(await download(folder, chain.source(), to)).toMatchObject({ ok: true })
      expect(await auditFolder(folder)).toMatchObject({ falsehood: undefined, to })
      expect(await download(folder)).toMatchObject({ ok: true })
      expect(await contents(folder)).toEqual(await contents(whole))
      expect(await download(folder)).toMatchObject({ ok: true })
      expect(await contents(folder)).toEqual(await contents(whole))
    }
  })

  test('drops what a longer run wrote after its manifest', async () => {
    const folder = await newFolder()
    await download(folder, chain.source(), 20)
    const longer = await newFolder()
    await writeRecords(longer, chain.records.slice(0, 41))
    await rename(join(longer, blockFile(0)), join(folder, blockFile(0)))
    expect(await download(folder)).toMatchObject({ ok: true })
    expect(await contents(folder)).toEqual(await contents(whole))
  })
})

describe('refuses', () => {
  const code = async (outcome: ReturnType<typeof download>) => {
    const result = await outcome
    return result.ok ? 'ok' : result.fault.code
  }

  test('a folder that holds something else', async () => {
    const folder = await newFolder()
    await writeFile(join(folder, 'diary.txt'), 'mine')
    expect(await code(download(folder))).toBe('EXPORT_FOLDER_IN_USE')
    expect(await readFile(join(folder, 'diary.txt'), 'utf8')).toBe('mine')
  })

  test('an export of another chain, and a node of another chain', async () => {
    const other = new CertifiedChain({ balances: { mallory: 5n } })
    other.runTo(3)
    const folder = await newFolder()
    const options = { chainId: bytesToHex(other.sample.chainId), genesisText: 'other' }
    await downloadTo(folder, other.source(), options)
    expect(await code(download(folder))).toBe('EXPORT_OTHER_CHAIN')
    expect(await code(download(await newFolder(), other.source()))).toBe('NODE_OTHER_CHAIN')
  })

  test('a damaged export', async () => {
    const folder = await newFolder()
    await download(folder, chain.source(), 30)
    await truncate(join(folder, blockFile(0)), 900)
    expect(await code(download(folder))).toBe('EXPORT_DAMAGED')
    await writeFile(join(folder, 'manifest.partial.json'), '{}')
    expect(await code(download(folder))).toBe('EXPORT_DAMAGED')
  })

  test('blocks out of order, without form, without end', async () => {
    const { records } = chain
    const shuffled = chain.source(records.with(5, records[6] as never))
    expect(await code(download(await newFolder(), shuffled))).toBe('EXPORT_ORDER')
    const fork = new CertifiedChain()
    fork.append([], { skips: 1 })
    const forked = chain.source(records.with(1, fork.tip))
    expect(await code(download(await newFolder(), forked))).toBe('EXPORT_ORDER')
    const source = chain.source()
    const noise: BlockSource = {
      ...source,
      blocks: () =>
        Promise.resolve([
          {
            header: new Uint8Array(7),
            body: new Uint8Array(0),
            isPruned: false,
            justification: undefined,
            certificate: undefined,
          },
        ]),
    }
    expect(await code(download(await newFolder(), noise))).toBe('MALFORMED')
    const silent: BlockSource = { ...source, blocks: () => Promise.resolve([]) }
    expect(await code(download(await newFolder(), silent))).toBe('BLOCKS_MISSING')
    const bare = records.with(9, {
      ...(records[9] as never as object),
      certificate: undefined,
    } as never)
    expect(await code(download(await newFolder(), chain.source(bare), 9))).toBe(
      'EXPORT_UNCERTIFIED',
    )
  })
})

test('a manifest has one text', async () => {
  const text = await readFile(join(whole, 'manifest.json'), 'utf8')
  const parsed = parseManifest(text)
  const chainId = bytesToHex(chain.sample.chainId)
  expect(parsed).toMatchObject({ ok: true, value: { lastHeight: HEIGHT, chainId } })
  for (const other of [
    text.trimEnd(),
    ` ${text}`,
    text.replace('140', '140.0'),
    text.replace('140', '-1'),
    text.replace('"lastHeight"', '"note": 1,\n  "lastHeight"'),
    text.replace('/2', '/1'),
    'null',
    '',
  ]) {
    expect(parseManifest(other).ok).toBe(false)
  }
})
