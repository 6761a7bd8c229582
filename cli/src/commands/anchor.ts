import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { registerDecode } from '../anchor/decode-command.ts'
import { type AnchorVerdict, verifyAnchor } from '../anchor/verify-anchor.ts'
import { verifyExportedAnchor } from '../anchor/verify-exported-anchor.ts'
import { type CommandContext, contextOf, countArgument } from '../command-context.ts'
import { CommandError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { shownAudit } from './audit.ts'

const EXAMPLES = `
Example:
  $ ioex anchor status
  $ ioex anchor verify 12
  $ ioex anchor decode header 00000000b331…
`

const VERIFY_EXAMPLES = `
With --from everything is recomputed from the exported blocks; only the genesis file is trusted.

Examples:
  $ ioex anchor verify 12
  $ ioex audit --export history && ioex anchor verify 12 --from history --trust-anchor genesis.json
`

interface VerifyFlags {
  readonly from?: string
  readonly trustAnchor?: string
  readonly forks?: string
}

/** anchor status: how deep the newest anchored checkpoint lies in the main chain. */
export function registerAnchor(program: Command): void {
  const anchor = program
    .command('anchor')
    .description('how this chain is anchored in the main chain')
    .addHelpText('after', EXAMPLES)
  anchor
    .command('status')
    .description('show the newest anchored epoch and its depth')
    .action(async (_options, command: Command) => {
      const context = await contextOf(command)
      const status = await (await context.client()).call('anchor_getStatus', {})
      context.output.result(status, () =>
        factsText([
          ['anchored epoch', status.epoch === null ? 'none yet' : String(status.epoch)],
          ['current epoch', String(status.currentEpoch)],
          ['without anchor', lagText(status.lag)],
          ...(status.mainHeight === null
            ? []
            : ([
                ['state', status.state],
                ['method', status.method ?? ''],
                ['main block', String(status.mainHeight)],
                ['confirmations', String(status.confirmations)],
              ] as const)),
          ['main chain tip', String(status.mainTipHeight)],
        ]),
      )
    })
  anchor
    .command('verify')
    .description('check the anchor that covers an epoch, step by step, down to the Bitcoin work')
    .argument('<epoch>', 'epoch whose checkpoint must be anchored', countArgument)
    .option('--from <dir>', 'prove it from an export alone, without any node')
    .option(
      '--trust-anchor <file>',
      'with --from: genesis file to trust, default DATA/genesis.json',
    )
    .option('--forks <file>', 'with --from: forks that this release does not carry')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(async (epoch: number, flags: VerifyFlags, command: Command) => {
      const context = await contextOf(command)
      const verdict = await verdictOf(context, epoch, flags)
      context.output.result(verdict, () => verdictText(verdict))
      if (verdict.valid) return
      throw new CommandError('ANCHOR_INVALID', `the anchor of epoch ${epoch} does not hold`)
    })
  registerDecode(anchor)
}

async function verdictOf(
  context: CommandContext,
  epoch: number,
  { from, trustAnchor, forks }: VerifyFlags,
): Promise<AnchorVerdict> {
  if (from === undefined) return verifyAnchor(await context.client(), epoch)
  const { io, settings } = context
  const folder = resolve(io.folder, from)
  const genesisFile =
    trustAnchor === undefined
      ? join(settings.data, 'genesis.json')
      : resolve(io.folder, trustAnchor)
  const forksFile = forks && resolve(io.folder, forks)
  return verifyExportedAnchor({
    folder,
    epoch,
    replay: (onBlock) =>
      shownAudit(context, { genesisFile, forksFile, exportFolder: folder, onBlock }),
  })
}

/** Beyond this many epochs the main chain, or whoever pays there, needs a look. */
const LAG_NORMAL = 3

function lagText(lag: number): string {
  const epochs = lag === 1 ? '1 epoch' : `${lag} epochs`
  return lag > LAG_NORMAL ? `${epochs}: look at the main chain and the anchoring accounts` : epochs
}

function verdictText({ checks, epoch, asked, method, mainHeight, state }: AnchorVerdict): string {
  const steps = checks.map(({ name, ok, reason }) =>
    ok ? `ok    ${name}` : `FALSE ${name}: ${reason}`,
  )
  const covers = epoch === asked ? '' : `, which covers epoch ${asked}`
  const place = `epoch ${epoch}${covers}, by ${method}, main block ${mainHeight}, ${state}`
  return [place, ...steps].join('\n')
}
