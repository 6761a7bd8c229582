import { join, resolve } from 'node:path'
import {
  AuditQuestionError,
  type AuditReport,
  type RecomputedContract,
  type RecomputedStatement,
  type UncheckedOpenings,
} from '@ioex/chain/audit'
import { formatAddress } from '@ioex/chain/bytes'
import {
  AuditError,
  type AuditPhase,
  falsehoodText,
  isExport,
  runAudit,
  type RunAuditOptions,
} from '../audit/run-audit.ts'
import { readNodeArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { formatAmount, formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import type { Output } from '../output/output.ts'
import type { Progress } from '../output/progress.ts'
import { factsText } from '../output/table.ts'

export interface AuditFlags {
  readonly forks?: string
  readonly export?: string
  readonly epoch?: number
  readonly node?: string
  readonly contract?: number
  readonly trustAnchor?: string
  readonly archive?: readonly string[]
  readonly strict?: boolean
}

/** Recomputes the chain and shows the outcome; `isNodeNamed`: blocks may come from the node. */
export async function audit(
  context: CommandContext,
  flags: AuditFlags,
  isNodeNamed: boolean,
): Promise<void> {
  const report = await shownAudit(context, await optionsOf(context, flags, isNodeNamed))
  context.output.result(reportToJson(report), () => reportText(report, context.output))
  if (report.falsehood) {
    throw new CommandError('AUDIT_FALSEHOOD', falsehoodText(report.falsehood))
  }
  if (flags.strict && report.unchecked.length > 0) {
    throw new CommandError(
      'AUDIT_INCOMPLETE',
      'openings are missing: name a node that keeps them with --archive URL, and a new folder',
    )
  }
}

async function optionsOf(
  { settings, io }: CommandContext,
  flags: AuditFlags,
  isNodeNamed: boolean,
): Promise<RunAuditOptions> {
  const { epoch, node, contract } = flags
  const folder = flags.export === undefined ? undefined : resolve(io.folder, flags.export)
  const isOffline = folder !== undefined && !isNodeNamed && (await isExport(folder))
  return {
    genesisFile:
      flags.trustAnchor === undefined
        ? join(settings.data, 'genesis.json')
        : resolve(io.folder, flags.trustAnchor),
    forksFile: flags.forks && resolve(io.folder, flags.forks),
    ...(folder !== undefined && { exportFolder: folder }),
    ...(!isOffline && { rpcUrl: settings.rpc }),
    archiveUrls: flags.archive,
    epoch,
    node: node === undefined ? undefined : readNodeArgument(node),
    contract,
  }
}

const PHASES: Readonly<Record<AuditPhase, string>> = {
  download: 'downloading blocks',
  replay: 'recomputing blocks',
}

/** runAudit with its progress shown and its errors as those of a command. */
export async function shownAudit(
  { output }: CommandContext,
  options: RunAuditOptions,
): Promise<AuditReport> {
  let bar: { readonly phase: AuditPhase; readonly progress: Progress } | undefined
  const onProgress = (done: number, total: number, phase: AuditPhase) => {
    if (bar?.phase !== phase) {
      bar?.progress.stop()
      bar = { phase, progress: output.progress(PHASES[phase], total) }
    }
    bar.progress.update(done)
  }
  try {
    return await runAudit({ ...options, onProgress })
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.code, error.message)
    if (error instanceof AuditQuestionError) throw new CommandError('NOT_FOUND', error.message)
    throw error
  } finally {
    bar?.progress.stop()
  }
}

/** The report as JSON: addresses as text, receipts as their numbers. `ok`: nothing is false. */
function reportToJson(report: AuditReport): object {
  const { asked, addressPrefix, falsehood, unchecked, ...totals } = report
  const text = (address: Uint8Array) => formatAddress(address, addressPrefix)
  const { contract } = asked
  return {
    ok: falsehood === undefined,
    ...totals,
    falsehood: falsehood ?? null,
    complete: falsehood === undefined && unchecked.length === 0,
    unchecked: unchecked.map(({ transactions, ...tally }) => ({
      ...tally,
      transactions: transactions.map((one) => ({ ...one, node: text(one.node) })),
    })),
    askedReceipts: asked.receipts,
    statements: asked.statements.map(({ node, epoch, statement }) => ({
      ...statement,
      node: text(node),
      epoch,
      receipts: statement.receipts.length,
    })),
    contract: contract
      ? {
          ...contract,
          payer: text(contract.payer),
          rails: contract.rails.map((rail) => ({ ...rail, node: text(rail.node) })),
          receipts: contract.receipts.length,
        }
      : null,
  }
}

function reportText(report: AuditReport, output: Output): string {
  const { network, chainId, to, checked, unchecked, asked, addressPrefix } = report
  const rate = `${report.seconds.toFixed(1)} s, ${Math.round(report.blocksPerSecond)} blocks/s`
  const facts = factsText([
    ['network', network],
    ['chain id', chainId],
    ['audited', to < 0 ? 'nothing' : `heights 0 to ${to} (${rate})`],
    ['minted', formatIoex(report.minted)],
    ['burned on service fees', formatIoex(report.burnedService)],
    ['forfeits', String(report.forfeits)],
  ])
  const parts = [facts]
  if (checked.length > 0) parts.push(checked.map((line) => `  ✓ ${line}`).join('\n'))
  if (asked.statements.length > 0) {
    parts.push(statementsText(asked.statements, addressPrefix, output))
  }
  if (asked.contract) parts.push(contractText(asked.contract, addressPrefix, output))
  if (unchecked.length > 0) parts.push(uncheckedText(unchecked))
  parts.push(verdictOf(report))
  return parts.join('\n\n')
}

function verdictOf({ falsehood, unchecked }: AuditReport): string {
  if (falsehood) return 'FALSE'
  if (unchecked.length === 0) return 'Everything holds.'
  return 'Nothing is false, but not everything could be checked.'
}

const KINDS: Readonly<Record<UncheckedOpenings['kind'], string>> = {
  prove: 'proofs',
  fill: 'fills',
  claimSlot: 'claims of slots',
}

/** What was taken on the validators' word, and where to look for it. */
function uncheckedText(unchecked: readonly UncheckedOpenings[]): string {
  const lines = unchecked.map(
    ({ kind, count, of, first, last }) =>
      `  ! openings of ${count} of ${of} ${KINDS[kind]} are gone, heights ${first} to ${last}`,
  )
  const note =
    '  Their draws, signatures and money were recomputed. That the leaves were there is what the\n' +
    '  validators signed. Name a node that keeps openings with --archive URL; --json lists each.'
  return `NOT CHECKED\n${lines.join('\n')}\n${note}`
}

function statementsText(
  statements: readonly RecomputedStatement[],
  prefix: string,
  output: Output,
): string {
  const sums = ['fees', 'burned', 'toValidators', 'held', 'released', 'paid', 'subsidy'] as const
  const table = output.table(
    [
      { head: 'node' },
      { head: 'epoch', align: 'right' },
      ...sums.map((head) => ({ head, align: 'right' }) as const),
      { head: 'receipts', align: 'right' },
    ],
    statements.map(({ node, epoch, statement }) => [
      formatAddress(node, prefix),
      String(epoch),
      ...sums.map((name) => formatAmount(statement[name])),
      String(statement.receipts.length),
    ]),
  )
  return `Statements from replayed receipts (IOEX):\n${table}`
}

function contractText(contract: RecomputedContract, prefix: string, output: Output): string {
  const { live, active, k, n, payer, receipts } = contract
  const state = live ? (active ? 'active' : 'not active') : 'ended'
  const sums = ['fees', 'burned', 'toValidators', 'net', 'held', 'forfeited'] as const
  const table = output.table(
    [
      { head: 'slot', align: 'right' },
      { head: 'rail', align: 'right' },
      { head: 'node' },
      ...sums.map((head) => ({ head, align: 'right' }) as const),
    ],
    contract.rails.map((rail) => [
      String(rail.slot),
      String(rail.rail),
      formatAddress(rail.node, prefix),
      ...sums.map((name) => formatAmount(rail[name])),
    ]),
  )
  const title =
    `Contract ${contract.contract} of ${formatAddress(payer, prefix)}: ${state}, ` +
    `${k} of ${n} slots, ${receipts.length} receipts (IOEX):`
  return `${title}\n${table}`
}
