import { join } from 'node:path'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import type { Fault } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import type { Ledger } from '../state/ledger.ts'
import type { Receipt } from '../types/receipts.ts'
import { AskedReceipts } from './asked-receipts.ts'
import type { AskedFindings, AuditReport, Falsehood } from './audit-report.ts'
import type { ServedAnswers } from './audited-node.ts'
import { ChainReplay } from './chain-replay.ts'
import { compareReceipts, compareStatement } from './compare-answers.ts'
import {
  type ExportManifest,
  type ExportRecord,
  GENESIS_FILE,
  MANIFEST_FILE,
} from './export-format.ts'
import { readBlocks, readBounded, readManifest, strayEntries } from './read-export.ts'
import { checkRailSums, recomputeContract } from './recomputed-contract.ts'
import { type RecomputedStatement, recomputeStatements } from './recomputed-statements.ts'

/** Statements compared with a node's at most: each is a call. */
const STATEMENTS_COMPARED_MAX = 1000

/** What to say more about than that everything holds. All given conditions hold together. */
export interface AuditQuestion {
  readonly epoch?: number | undefined
  /** Index, or address of the node's key. */
  readonly node?: number | Uint8Array | undefined
  /** Index. */
  readonly contract?: number | undefined
}

export interface AuditOptions {
  readonly folder: string
  /** From the genesis file that is trusted; used up by the audit. */
  readonly genesis: Genesis
  /** What genesis.json of the export must say, byte for byte. */
  readonly genesisText: string
  readonly question?: AuditQuestion | undefined
  /** A node whose answers are compared with what the replay gives. */
  readonly answers?: ServedAnswers | undefined
  readonly onProgress?: ((blocks: number, total: number) => void) | undefined
  /** Sees each block after it was recomputed, with the ledger as it stands then. */
  readonly onBlock?: ((block: ReplayedBlock) => void) | undefined
}

/** A block that was found true. */
export interface ReplayedBlock {
  readonly record: ExportRecord
  readonly receipts: readonly Receipt[]
  /** The replay's own, which goes on changing: only to be read. */
  readonly ledger: Ledger
}

/** The question names something that the audited chain does not have. */
export class AuditQuestionError extends Error {
  override name = 'AuditQuestionError'
}

/**
 * Recomputes an exported history from its genesis file and reports what holds, or the first
 * falsehood: every byte of the folder is checked. Rejects with operating errors of the disk or
 * the node, and with AuditQuestionError.
 */
export async function auditExport(options: AuditOptions): Promise<AuditReport> {
  const started = performance.now()
  const audit = new ExportAudit(options)
  const falsehood = await audit.run()
  const { genesis } = options
  const seconds = (performance.now() - started) / 1000
  const { totals, nextHeight } = audit.replay
  return {
    network: genesis.params.network,
    addressPrefix: genesis.params.addressPrefix,
    chainId: bytesToHex(genesis.chainId),
    from: 0,
    to: nextHeight - 1,
    ...totals,
    seconds,
    blocksPerSecond: totals.blocks / Math.max(seconds, 0.001),
    checked: falsehood ? [] : [...checkedOf(audit.replay), ...audit.compared],
    unchecked: audit.replay.openings.unchecked,
    falsehood,
    asked: audit.findings,
  }
}

class ExportAudit {
  readonly replay: ChainReplay
  /** What was compared with a node's answers. */
  readonly compared: string[] = []
  findings: AskedFindings = { receipts: 0, statements: [], contract: undefined }
  readonly #options: AuditOptions
  #asked: AskedReceipts | undefined

  constructor(options: AuditOptions) {
    this.#options = options
    this.replay = new ChainReplay(options.genesis)
    this.#ask()
  }

  async run(): Promise<Falsehood | undefined> {
    const manifest = await this.#checkFiles()
    if (!manifest.ok) return manifest.falsehood
    const falsehood = (await this.#replayBlocks(manifest.value)) ?? this.#checkEnd(manifest.value)
    return falsehood ?? this.#answer()
  }

  /** The manifest, the genesis file, and that nothing else lies in the folder. */
  async #checkFiles(): Promise<
    { ok: true; value: ExportManifest } | { ok: false; falsehood: Falsehood }
  > {
    const { folder, genesis, genesisText } = this.#options
    const wrong = (file: string, found: Fault) => {
      return { ok: false, falsehood: falsehoodOf(file, undefined, found) } as const
    }
    const manifest = await readManifest(folder)
    if (!manifest.ok) return wrong(MANIFEST_FILE, manifest.fault)
    if (!manifest.value) return wrong(MANIFEST_FILE, MANIFEST_MISSING)
    if (manifest.value.chainId !== bytesToHex(genesis.chainId)) {
      return wrong(MANIFEST_FILE, OTHER_CHAIN)
    }
    const expected = utf8ToBytes(genesisText)
    const stated = await readBounded(join(folder, GENESIS_FILE), expected.length)
    if (!stated.ok || !stated.value?.equals(expected)) return wrong(GENESIS_FILE, OTHER_GENESIS)
    const [stray] = await strayEntries(folder, manifest.value.lastHeight)
    if (stray !== undefined) return wrong(stray, STRAY_FILE)
    return { ok: true, value: manifest.value }
  }

  async #replayBlocks({ lastHeight }: ExportManifest): Promise<Falsehood | undefined> {
    const { folder, onProgress, onBlock } = this.#options
    for await (const { file, height, record } of readBlocks(folder, lastHeight)) {
      if (!record.ok) return falsehoodOf(file, height, record.fault)
      const receipts = this.replay.apply(record.value)
      if (!receipts.ok) return falsehoodOf(file, height, receipts.fault)
      this.#ask()
      if (this.#isAsked) this.#asked?.add(receipts.value)
      onBlock?.({ record: record.value, receipts: receipts.value, ledger: this.replay.ledger })
      onProgress?.(height + 1, lastHeight + 1)
    }
    return undefined
  }

  #checkEnd({ lastHeight, lastHash }: ExportManifest): Falsehood | undefined {
    if (this.replay.headHash !== lastHash) {
      return falsehoodOf(MANIFEST_FILE, lastHeight, OTHER_END)
    }
    const finished = this.replay.finish()
    return finished.ok ? undefined : falsehoodOf(MANIFEST_FILE, lastHeight, finished.fault)
  }

  /** Receipts are kept only where somebody will look at them. */
  get #isAsked(): boolean {
    const { question = {}, answers } = this.#options
    const { epoch, node, contract } = question
    return answers !== undefined || (epoch ?? node ?? contract) !== undefined
  }

  /** A node asked for by index gets its address once its record is there; no receipt is older. */
  #ask(): void {
    if (this.#asked) return
    const { epoch, node, contract } = this.#options.question ?? {}
    const address = typeof node === 'number' ? addressAt(this.replay, node) : node
    if (node !== undefined && !address) return
    this.#asked = new AskedReceipts({ epoch, node: address, contract })
  }

  async #answer(): Promise<Falsehood | undefined> {
    const { question = {}, answers } = this.#options
    const asked = this.#asked
    refuseUnknown(this.replay, question)
    if (!asked) throw new AuditQuestionError(`no node has index ${String(question.node)}`)
    const { ledger, epoch: currentEpoch } = this.replay
    const isWide = question.node === undefined && question.epoch === undefined
    const hasStatements = !isWide && question.contract === undefined && !asked.overflowed
    const statements = hasStatements
      ? recomputeStatements(ledger, asked.forStatements, asked.question, currentEpoch)
      : []
    const { contract: index } = question
    const contract =
      index === undefined ? undefined : recomputeContract(ledger, index, asked.listed)
    this.findings = { receipts: asked.listed.length, statements, contract }
    if (contract && question.epoch === undefined && question.node === undefined) {
      const summed = checkRailSums(contract)
      if (!summed.ok) return falsehoodOf(MANIFEST_FILE, undefined, summed.fault)
    }
    return answers && this.#compare(answers, asked, statements)
  }

  async #compare(
    answers: ServedAnswers,
    asked: AskedReceipts,
    statements: readonly RecomputedStatement[],
  ): Promise<Falsehood | undefined> {
    if (asked.overflowed) {
      this.compared.push(
        `receipts of ${answers.name} were too many to compare: ask for an epoch, node or contract`,
      )
      return undefined
    }
    const last = this.replay.nextHeight - 1
    const served = answers.receipts(asked.question)
    const same = await compareReceipts(served, asked.listed, last)
    if (!same.ok) {
      const height = same.fault.facts?.height
      return falsehoodOf(answers.name, typeof height === 'number' ? height : undefined, same.fault)
    }
    this.compared.push(`${asked.listed.length} receipts served by ${answers.name} are the same`)
    const compared = statements.slice(0, STATEMENTS_COMPARED_MAX)
    for (const { node, epoch, statement } of compared) {
      const agrees = compareStatement(await answers.statement(node, epoch), statement)
      if (!agrees.ok) return falsehoodOf(answers.name, undefined, agrees.fault)
    }
    if (compared.length > 0) {
      this.compared.push(`${compared.length} statements served by ${answers.name} are the same`)
    }
    return undefined
  }
}

const MANIFEST_MISSING: Fault = {
  code: 'FILE_MISSING',
  message: 'there is no manifest: the export was interrupted, or is none',
}
const OTHER_CHAIN: Fault = {
  code: 'CHAIN_OTHER',
  message: 'the export is of another chain than the trusted genesis file describes',
}
const OTHER_GENESIS: Fault = {
  code: 'GENESIS_OTHER',
  message: 'it is not, byte for byte, the trusted genesis file',
}
const STRAY_FILE: Fault = { code: 'FILE_STRAY', message: 'the manifest does not speak of it' }
const OTHER_END: Fault = {
  code: 'END_OTHER',
  message: 'the last block is not the one that the manifest names',
}

function falsehoodOf(file: string, height: number | undefined, { code, message, facts }: Fault) {
  const details = Object.entries(facts ?? {}).map(([name, value]) => `${name} ${value}`)
  const what = details.length === 0 ? message : `${message} (${details.join(', ')})`
  return { file, height, code, what }
}

function addressAt({ ledger }: ChainReplay, index: number): Uint8Array | undefined {
  const node = ledger.nodes.get(index)
  return node && addressOf(node.nodeKey)
}

/** A question about nothing would be answered with nothing, which reads like "all is well". */
function refuseUnknown(replay: ChainReplay, { node, contract, epoch }: AuditQuestion): void {
  const { ledger } = replay
  if (node instanceof Uint8Array && ledger.nodeIndex(node) === undefined) {
    throw new AuditQuestionError('no node of the audited chain has this address')
  }
  if (contract !== undefined && !ledger.contracts.get(contract)) {
    throw new AuditQuestionError(`the audited chain has no contract ${contract}`)
  }
  if (epoch !== undefined && epoch > replay.epoch) {
    throw new AuditQuestionError(`the audited chain ends in epoch ${replay.epoch}`)
  }
}

function checkedOf({ totals, ledger, openings }: ChainReplay): string[] {
  const { blocks, certificates, signatures, transactions, receipts, epochs } = totals
  const { mainHeaders, beacons, anchors, minted, burnedService } = totals
  return [
    'block 0 follows from the trusted genesis file; every byte of the export is accounted for',
    `${blocks} blocks stand on one another, each by its scheduled leader and justified`,
    `${certificates} finality certificates hold, up to the last block (${signatures} signatures)`,
    `${transactions} transactions executed again: every header states the roots they give`,
    `${openings.checked} proofs, fills and claims show leaves of their slots’ roots`,
    `${receipts} receipts recomputed; they add up to the records of ${epochs} epochs`,
    `${mainHeaders} main-chain headers carry their work; ${beacons} beacons and ${anchors} anchors follow`,
    `minted ${minted} <= rho x burned ${burnedService} units, in each epoch by itself`,
    `every unit of the supply has its place (${ledger.globals().genesisSupply} at genesis)`,
  ]
}
