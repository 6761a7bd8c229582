import { join, resolve } from 'node:path'
import {
  AuditQuestionError,
  type AuditReport,
  type RecomputedContract,
  type RecomputedStatement,
} from '@ioex/chain/audit'
import { formatAddress } from '@ioex/chain/bytes'
import type { Command } from 'commander'
import {
  AuditError,
  type AuditPhase,
  falsehoodText,
  isExport,
  runAudit,
  type RunAuditOptions,
} from '../audit/run-audit.ts'
import {
  type CommandContext,
  contextOf,
  countArgument,
  readNodeArgument,
} from '../command-context.ts'
import { formatAmount, formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import type { Output } from '../output/output.ts'
import type { Progress } from '../output/progress.ts'
import { factsText } from '../output/table.ts'

const EXAMPLES = `
Downloads the chain from the node, then computes every block, receipt and epoch again. Nothing is
believed but the genesis file. With --export DIR the blocks stay in DIR and the next run goes on
from there; an export that lies there already is audited as it is, without any node, unless --rpc
names one. Ends with exit code 1 at the first falsehood.

Examples:
  $ ioex audit
  $ ioex audit --epoch 12 --node lioex1…      the statement, recomputed, beside what the node says
  $ ioex audit --export history --rpc http://127.0.0.1:22666
  $ ioex audit --export history --trust-anchor genesis.json
`

interface AuditFlags {
  readonly forks?: string
  readonly export?: string
  readonly epoch?: number
  readonly node?: string
  readonly contract?: number
  readonly trustAnchor?: string
}

/** audit: everything recomputed from exported blocks and the genesis file. */
export function registerAudit(program: Command): void {
  program
    .command('audit')
    .description('recompute the chain from its blocks, trusting only the genesis file')
    .option('--export <dir>', 'folder of the exported blocks, written if need be')
    .option('--epoch <epoch>', 'show what was earned in this epoch', countArgument)
    .option('--node <node>', "show what this node earned: its index or its key's address")
    .option('--contract <index>', 'show the rails of this contract', countArgument)
    .option('--trust-anchor <file>', 'genesis file to trust, default DATA/genesis.json')
    .option('--forks <file>', 'forks of the network that this release does not carry')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: AuditFlags, command: Command) => {
      const context = await contextOf(command)
      const { rpc } = command.optsWithGlobals<{ rpc?: string }>()
      const report = await shownAudit(context, await optionsOf(context, flags, rpc !== undefined))
      context.output.result(reportToJson(report), () => reportText(report, context.output))
      if (!report.falsehood) return
      throw new CommandError('AUDIT_FALSEHOOD', falsehoodText(report.falsehood))
    })
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

/** The report as JSON: addresses as text, receipts as their numbers. */
export function reportToJson(report: AuditReport): object {
  const { asked, addressPrefix, falsehood, ...totals } = report
  const text = (address: Uint8Array) => formatAddress(address, addressPrefix)
  const { contract } = asked
  return {
    ok: falsehood === undefined,
    ...totals,
    falsehood: falsehood ?? null,
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
  const { network, chainId, to, falsehood, checked, asked, addressPrefix } = report
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
  parts.push(falsehood ? 'FALSE' : 'Everything holds.')
  return parts.join('\n\n')
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
