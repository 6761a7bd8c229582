import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  type ContractRepair,
  keepRepaired,
  type RepairKeys,
  type RepairOptions,
  type RepairResult,
} from '@ioex/storage-node/repair'
import type { StorageClient } from '@ioex/storage-node/scheduler'
import type { CommandContext } from '../command-context.ts'
import { interruption } from '../interruption.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { jsonText } from '../output/json-text.ts'
import { writeNewSecretFile } from '../keys/new-file.ts'
import { openStorage } from '../storage/open-storage.ts'
import { topUpText } from '../storage/top-up-text.ts'
import { transferBar } from '../storage/transfer-progress.ts'

export interface RepairFlags {
  readonly watch?: boolean
  readonly due?: boolean
  readonly keys?: string
  readonly exportKeys?: string
  /** Units. */
  readonly topUp: bigint
}

/** Rebuilds lost slots, once or in every epoch; or hands out what a delegate needs for it. */
export async function repair(
  context: CommandContext,
  path: string | undefined,
  flags: RepairFlags,
): Promise<void> {
  if (flags.keys !== undefined && (path !== undefined || flags.exportKeys !== undefined)) {
    throw usageError('--keys names the contracts itself: leave the name and --export-keys away')
  }
  if (flags.exportKeys !== undefined) await exportKeys(context, path, flags.exportKeys)
  else if (flags.watch) await watch(context, path, flags)
  else await repairOnce(context, path, flags)
}

async function exportKeys(
  context: CommandContext,
  path: string | undefined,
  target: string,
): Promise<void> {
  if (path === undefined) throw usageError('name the file whose slots are to be rebuilt')
  const { client, close } = await openStorage(context)
  try {
    const keys = await client.repairKeys(path)
    const file = resolve(context.io.folder, target)
    await writeNewSecretFile(file, jsonText({ keys }))
    const contracts = keys.map(({ contract }) => contract)
    context.output.result({ file, contracts }, () => {
      const which = contracts.join(', ')
      return `Wrote the repair keys of contract ${which} to ${file}: for its delegate alone`
    })
  } finally {
    await close()
  }
}

type Run = (client: StorageClient, options: RepairOptions) => Promise<RepairResult>

/** Repairs the wallet's files, or as a delegate the contracts of a key file. */
async function runOf(
  { io }: CommandContext,
  path: string | undefined,
  { keys: file, topUp }: RepairFlags,
): Promise<Run> {
  if (file === undefined) {
    return (client, options) => client.repair({ ...options, path, topUpMax: topUp })
  }
  const text = await readFile(resolve(io.folder, file), 'utf8')
  const { keys } = JSON.parse(text) as { keys?: RepairKeys[] }
  if (!Array.isArray(keys)) throw new CommandError('KEY_FILE', `${file} holds no repair keys`)
  return (client, options) => client.repairFor(keys, options)
}

async function repairOnce(
  context: CommandContext,
  path: string | undefined,
  flags: RepairFlags,
): Promise<void> {
  const run = await runOf(context, path, flags)
  const { client, close } = await openStorage(context)
  const bar = transferBar(context.output)
  try {
    const result = await run(client, { always: flags.due !== true, onProgress: bar.update })
    bar.end()
    context.output.result(result, () => repairText(result, flags.topUp))
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
async function watch(
  context: CommandContext,
  path: string | undefined,
  flags: RepairFlags,
): Promise<void> {
  const run = await runOf(context, path, flags)
  const stop = new AbortController()
  void interruption().then(() => stop.abort())
  const { client, chain, close } = await openStorage(context)
  context.output.note('Watching; Ctrl-C stops')
  try {
    await keepRepaired({
      chain,
      signal: stop.signal,
      repair: async () => {
        const result = await run(client, { always: false, signal: stop.signal })
        const isNews = result.contracts.some(
          ({ repaired, failed }) => repaired.length + failed.length > 0,
        )
        if (isNews) context.output.result(result, () => repairText(result, flags.topUp))
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

function repairText({ contracts, toppedUpUnits }: RepairResult, limit: bigint): string {
  if (contracts.length === 0) return 'No contracts to repair.'
  const lines = contracts.map(contractText)
  if (toppedUpUnits > 0n) lines.push(topUpText(toppedUpUnits, limit))
  return lines.join('\n')
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
