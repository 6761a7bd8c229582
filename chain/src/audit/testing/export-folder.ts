import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesToHex } from '../../bytes/hex.ts'
import { blockHash } from '../../types/block.ts'
import { type AuditOptions, auditExport } from '../audit-export.ts'
import type { AuditReport } from '../audit-report.ts'
import type { BlockSource } from '../audited-node.ts'
import { downloadExport, type DownloadOptions } from '../download-export.ts'
import {
  BLOCKS_FOLDER,
  blockFile,
  BLOCKS_PER_FILE,
  encodeRecord,
  type ExportRecord,
  frameRecord,
  GENESIS_FILE,
  MANIFEST_FILE,
  manifestText,
} from '../export-format.ts'
import { sameGenesis } from './certified-chain.ts'

/** Stands for the text of a genesis file: an export only repeats it. */
export const GENESIS_TEXT = '{ "a genesis file": "of a test" }\n'

const folders: string[] = []

/** An empty folder that removeFolders takes away. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ioex-audit-'))
  folders.push(folder)
  return folder
}

export async function removeFolders(): Promise<void> {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
}

/**
 * Writes records into a folder as a liar would: in the right form, whatever they are. The
 * manifest fits them.
 */
export async function writeRecords(
  folder: string,
  records: readonly ExportRecord[],
  genesisText = GENESIS_TEXT,
): Promise<void> {
  await mkdir(join(folder, BLOCKS_FOLDER), { recursive: true })
  for (let start = 0; start < records.length; start += BLOCKS_PER_FILE) {
    const framed = records
      .slice(start, start + BLOCKS_PER_FILE)
      .map((record) => frameRecord(encodeRecord(record)))
    await writeFile(join(folder, blockFile(start)), Buffer.concat(framed))
  }
  const last = (records.at(-1) as ExportRecord).block.header
  const manifest = {
    chainId: bytesToHex(sameGenesis().chainId),
    lastHeight: records.length - 1,
    lastHash: bytesToHex(blockHash(last)),
  }
  await writeFile(join(folder, MANIFEST_FILE), manifestText(manifest))
  await writeFile(join(folder, GENESIS_FILE), genesisText)
}

/** Audits a folder against the genesis of the sample network. */
export function auditFolder(
  folder: string,
  options: Partial<AuditOptions> = {},
): Promise<AuditReport> {
  const genesis = options.genesis ?? sameGenesis()
  return auditExport({ folder, genesisText: GENESIS_TEXT, ...options, genesis })
}

/** Downloads the history of the sample network from a node into a folder. */
export function downloadTo(folder: string, node: BlockSource, more: Partial<DownloadOptions> = {}) {
  const chainId = bytesToHex(sameGenesis().chainId)
  return downloadExport({ folder, chainId, genesisText: GENESIS_TEXT, node, ...more })
}
