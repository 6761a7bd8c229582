import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  auditExport,
  type AuditReport,
  downloadExport,
  type Falsehood,
  MANIFEST_FILE,
  type ReplayedBlock,
} from '@ioex/chain/audit'
import { assert, bytesToHex, parseAddress, parseHex } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import type { Genesis } from '@ioex/chain/rules'
import { decodeGenesis, GENESIS_BYTES_MAX } from '@ioex/chain/types'
import { genesisFileText, readGenesisFile } from '@ioex/genesis/builder'
import { createRpcClient } from '@ioex/rpc/client'
import { createAuditedNode } from './audited-node.ts'
import { readGenesis } from '../nodes/genesis-of.ts'

export type AuditPhase = 'download' | 'replay'

export interface RunAuditOptions {
  /** Path of the genesis file: the only thing that is trusted. */
  readonly genesisFile: string
  /** Forks of the network that this release does not carry: what the auditor believes to rule. */
  readonly forksFile?: string | undefined
  /** Where the export is or is to be written; left out: a folder that is removed afterwards. */
  readonly exportFolder?: string
  /**
   * Node to bring the export up to date from, and whose receipts and statements are compared;
   * left out: the folder is audited as it stands.
   */
  readonly rpcUrl?: string
  /** Asked for openings that the node has forgotten. */
  readonly archiveUrls?: readonly string[] | undefined
  readonly epoch?: number | undefined
  /** Index, or address of the node's key. */
  readonly node?: number | string | undefined
  readonly contract?: number | undefined
  readonly onProgress?: (done: number, total: number, phase: AuditPhase) => void
  /** Sees each block after it was recomputed. */
  readonly onBlock?: (block: ReplayedBlock) => void
}

/** The audit cannot be held: no genesis file, no such export, a node of another chain. */
export class AuditError extends Error {
  override name = 'AuditError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The audit was held, and something is false. */
export class AuditFalsehoodError extends AuditError {
  override name = 'AuditFalsehoodError'
  readonly falsehood: Falsehood

  constructor(falsehood: Falsehood) {
    super(falsehood.code, `the audit found a falsehood: ${falsehoodText(falsehood)}`)
    this.falsehood = falsehood
  }
}

export function falsehoodText({ file, height, what }: Falsehood): string {
  return height === undefined ? `${file}: ${what}` : `${file}, height ${height}: ${what}`
}

/** True where a folder holds a whole export. */
export async function isExport(folder: string): Promise<boolean> {
  return stat(join(folder, MANIFEST_FILE)).then(
    (file) => file.isFile(),
    () => false,
  )
}

/**
 * Recomputes a chain from an export, with nothing but the genesis file as trust. A falsehood is
 * part of the report; rejects with AuditError, AuditQuestionError, RpcError or what the disk says.
 */
export async function runAudit(options: RunAuditOptions): Promise<AuditReport> {
  await installNativeCrypto()
  const { exportFolder, rpcUrl } = options
  if (exportFolder !== undefined) return auditFolder(options, exportFolder)
  if (rpcUrl === undefined) throw new AuditError('NO_SOURCE', 'give an export or a node to audit')
  const folder = await mkdtemp(join(tmpdir(), 'ioex-export-'))
  try {
    return await auditFolder(options, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** As runAudit, of a running network; throws AuditFalsehoodError where something is false. */
export async function auditNetwork(
  options: RunAuditOptions & { readonly rpcUrl: string },
): Promise<AuditReport> {
  const report = await runAudit(options)
  if (report.falsehood) throw new AuditFalsehoodError(report.falsehood)
  return report
}

async function auditFolder(options: RunAuditOptions, folder: string): Promise<AuditReport> {
  const { rpcUrl, epoch, node, contract, onProgress, onBlock } = options
  const { genesis, genesisText } = await readTrusted(options.genesisFile, options.forksFile)
  const { addressPrefix } = genesis.params
  const question = { epoch, contract, node: nodeOf(node, addressPrefix) }
  const audited =
    rpcUrl === undefined
      ? undefined
      : createAuditedNode(createRpcClient({ url: rpcUrl }), addressPrefix)
  if (audited) {
    const chainId = bytesToHex(genesis.chainId)
    const downloaded = await downloadExport({
      folder,
      chainId,
      genesisText,
      node: audited,
      archives: options.archiveUrls?.map((url) =>
        createAuditedNode(createRpcClient({ url }), addressPrefix),
      ),
      onProgress: (height, to) => onProgress?.(height, to, 'download'),
    })
    if (!downloaded.ok) throw new AuditError(downloaded.fault.code, downloaded.fault.message)
  } else if (!(await isExport(folder))) {
    throw new AuditError(
      'NO_EXPORT',
      `${folder} holds no whole export: name a node with --rpc to write or complete one`,
    )
  }
  return auditExport({
    folder,
    genesis,
    genesisText,
    question,
    answers: audited,
    onBlock,
    onProgress: (blocks, total) => onProgress?.(blocks, total, 'replay'),
  })
}

/** The trusted genesis, and the one text that genesis.json of an export of it has. */
async function readTrusted(
  path: string,
  forksFile: string | undefined,
): Promise<{ genesis: Genesis; genesisText: string }> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new AuditError(
      'NO_GENESIS',
      `no genesis file at ${path}: name the one you trust with --trust-anchor`,
    )
  })
  const genesis = readGenesisFile(text)
  if (!genesis.ok) throw new AuditError(genesis.fault.code, `${path}: ${genesis.fault.message}`)
  const { document } = JSON.parse(text) as { document: string }
  const bytes = parseHex(document, GENESIS_BYTES_MAX)
  const decoded = bytes.ok ? decodeGenesis(bytes.value) : bytes
  assert(decoded.ok, 'the genesis was built from this document')
  const { network } = genesis.value.params
  const genesisText = genesisFileText(network, decoded.value)
  if (forksFile === undefined) return { genesis: genesis.value, genesisText }
  return { genesis: await readGenesis(path, forksFile), genesisText }
}

function nodeOf(
  node: number | string | undefined,
  prefix: string,
): number | Uint8Array | undefined {
  if (typeof node !== 'string') return node
  const parsed = parseAddress(node, prefix)
  if (!parsed.ok) throw new AuditError(parsed.fault.code, parsed.fault.message)
  return parsed.value
}
