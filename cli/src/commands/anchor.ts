import { join, resolve } from 'node:path'
import { type AnchorVerdict, verifyAnchor } from '../anchor/verify-anchor.ts'
import { verifyExportedAnchor } from '../anchor/verify-exported-anchor.ts'
import type { CommandContext } from '../command-context.ts'
import { withProvenChain } from '../nodes/proven-chain.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { shownAudit } from './audit.ts'

export interface VerifyFlags {
  readonly from?: string
  readonly trustAnchor?: string
  readonly forks?: string
}

/** Shows how deep the newest anchored checkpoint lies in the main chain. */
export async function anchorStatus(context: CommandContext): Promise<void> {
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
}

/** Checks the anchor that covers an epoch, step by step. */
export async function verify(
  context: CommandContext,
  epoch: number,
  flags: VerifyFlags,
): Promise<void> {
  const verdict = await verdictOf(context, epoch, flags)
  context.output.result(verdict, () => verdictText(verdict))
  if (verdict.valid) return
  throw new CommandError('ANCHOR_INVALID', `the anchor of epoch ${epoch} does not hold`)
}

async function verdictOf(
  context: CommandContext,
  epoch: number,
  { from, trustAnchor, forks }: VerifyFlags,
): Promise<AnchorVerdict> {
  if (from === undefined) {
    // A node's answers do not follow from a genesis file: say so rather than seem to check it.
    const idle = Object.entries({ '--trust-anchor': trustAnchor, '--forks': forks })
    const [flag] = idle.find(([, value]) => value !== undefined) ?? []
    if (flag) throw usageError(`${flag} needs --from DIR, an export that is recomputed from it`)
    const client = await context.client()
    return withProvenChain(context.settings, (chain) => verifyAnchor(client, epoch, chain))
  }
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

function verdictText(verdict: AnchorVerdict): string {
  const { checks, epoch, asked, method, mainHeight, state, proven } = verdict
  const steps = checks.map(({ name, ok, reason }) =>
    ok ? `ok    ${name}` : `FALSE ${name}: ${reason}`,
  )
  const covers = epoch === asked ? '' : `, which covers epoch ${asked}`
  const place = `epoch ${epoch}${covers}, by ${method}, main block ${mainHeight}, ${state}`
  const word = 'By one node’s word: who validators and arbiters are (no genesis.json in --data).'
  return [place, ...steps, ...(proven === false ? [word] : [])].join('\n')
}
