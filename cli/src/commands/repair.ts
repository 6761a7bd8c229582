import { type ContractRepair, keepRepaired, type RepairResult } from '@ioex/storage-node/repair'
import type { CommandContext } from '../command-context.ts'
import { interruption } from '../interruption.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { CommandError } from '../output/failure.ts'
import { openStorage } from '../storage/open-storage.ts'
import { transferBar } from '../storage/transfer-progress.ts'

export interface RepairFlags {
  readonly watch?: boolean
  readonly due?: boolean
}

/** Rebuilds lost slots, once or in every epoch. */
export async function repair(
  context: CommandContext,
  path: string | undefined,
  options: RepairFlags,
): Promise<void> {
  if (options.watch) await watch(context, path)
  else await repairOnce(context, path, options.due !== true)
}

async function repairOnce(
  context: CommandContext,
  path: string | undefined,
  always: boolean,
): Promise<void> {
  const { client, close } = await openStorage(context)
  const bar = transferBar(context.output)
  try {
    const result = await client.repair({ path, always, onProgress: bar.update })
    bar.end()
    context.output.result(result, () => repairText(result))
    const failed = result.contracts.flatMap((one) => one.failed)
    const [first] = failed
    if (!first) return
    const message = `${failed.length} slots were not rebuilt: ${first.reason}`
    throw new CommandError('REPAIR_INCOMPLETE', message)
  } finally {
    bar.end()
    await close()
  }
}

/** Runs until it is interrupted; says what it did, one line or JSON document each time. */
async function watch(context: CommandContext, path: string | undefined): Promise<void> {
  const stop = new AbortController()
  void interruption().then(() => stop.abort())
  const { client, chain, close } = await openStorage(context)
  context.output.note('Watching; Ctrl-C stops')
  try {
    await keepRepaired({
      chain,
      signal: stop.signal,
      repair: async () => {
        const result = await client.repair({ path, always: false, signal: stop.signal })
        const isNews = result.contracts.some(
          ({ repaired, failed }) => repaired.length + failed.length > 0,
        )
        if (isNews) context.output.result(result, () => repairText(result))
      },
      onFailure: (error) => {
        const reason = error instanceof Error ? error.message : String(error)
        context.output.note(`${reason}; tried again in the next epoch`)
      },
    })
  } finally {
    await close()
  }
}

function repairText({ contracts }: RepairResult): string {
  if (contracts.length === 0) return 'No contracts to repair.'
  return contracts.map(contractText).join('\n')
}

function contractText(repair: ContractRepair): string {
  const { contract, health, live, n, repaired, failed, waiting, readBytes } = repair
  const parts = [`contract ${contract}: ${health}, ${live} of ${n} slots live`]
  if (repaired.length > 0) {
    const slots = repaired.map(({ slot, node }) => `${slot} by ${node.slice(0, 12)}`)
    parts.push(`rebuilt slot ${slots.join(', ')} from ${formatByteSize(readBytes)}`)
  }
  for (const { slot, reason } of failed) parts.push(`slot ${slot} not rebuilt: ${reason}`)
  if (waiting.length > 0) {
    parts.push(`slot ${waiting.map(({ slot }) => slot).join(', ')} misses proofs, not lost yet`)
  }
  return parts.join('; ')
}
