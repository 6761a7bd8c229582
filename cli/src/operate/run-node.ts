import { resolve } from 'node:path'
import pino from 'pino'
import type { CommandContext } from '../command-context.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { type NodeConfig, readNodeConfig } from '../nodes/node-config.ts'
import { openHealthPages } from './health-pages.ts'
import { joiningHealth } from './joining-health.ts'
import { gatherNodeFlags, isFlagsFile } from './node-flags.ts'
import { planNode } from './node-plan.ts'
import { nodeLogger } from '../nodes/node-logger.ts'
import type { RunningNode } from '../nodes/running-node.ts'
import { CommandError } from '../output/failure.ts'
import { startNode } from '../nodes/start-node.ts'

/** A node that does not come to an end by itself is ended: nothing is lost, by design. */
const STOP_DEADLINE_MS = 30_000

/**
 * Runs the nodes of one process until `stop` resolves or one of them has ended its work. They
 * start in the given order, since a later one may ask an earlier one, and stop in the opposite.
 */
export async function runNode(
  { output, passphrase }: CommandContext,
  configs: readonly NodeConfig[],
  stop: Promise<NodeJS.Signals>,
): Promise<void> {
  const running: (RunningNode & { readonly role: string })[] = []
  const interrupted = stop.then((signal) => ({ reason: signal as string, hasEnded: false }))
  const stopAll = async () => {
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref()
    for (const node of running.toReversed()) await node.stop()
    await pages?.close()
  }
  let joining: (Pick<RunningNode, 'health'> & { readonly role: string }) | undefined
  const pages = await openHealthPages(configs, () => (joining ? [...running, joining] : running))
  try {
    for (const config of configs) {
      const logger = nodeLogger(config, pino.destination(2))
      const { role } = config
      const starting = startNode(config, logger, passphrase, (progress) => {
        joining = { role, health: joiningHealth(() => progress) }
      })
      const first = await Promise.race([starting, interrupted])
      if ('reason' in first) {
        // What is half started cannot be stopped before it has started.
        await starting.then((node) => running.push({ ...node, role })).catch(() => undefined)
        return
      }
      joining = undefined
      running.push({ ...first, role })
      const info = { ...first.info, ...(pages && { metrics: pages.url }) }
      output.result({ name: config.name, role, ...info }, () =>
        [`${config.name} is ready:`, ...describe(info)].join('\n'),
      )
    }
    const ends = running.flatMap(({ ended, failed }) => [
      ...(ended ? [ended.then((reason) => ({ reason }))] : []),
      ...(failed ? [failed.then(failure)] : []),
    ])
    const { reason } = await Promise.race([interrupted, ...ends])
    output.note(`Stopping: ${reason}`)
  } finally {
    await stopAll()
  }
}

function failure(reason: string): never {
  throw new CommandError('NODE_HALTED', reason)
}

function describe(info: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(info).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(' ') : String(value)
    return `  ${name}: ${text}`
  })
}

/** The configs of the processes' nodes: a file of the devnet, or what the flags describe. */
export async function configsOf(
  { io, settings }: CommandContext,
  given: Readonly<Record<string, unknown>>,
): Promise<NodeConfig[]> {
  // The option that names the settings file of every other command names the node's here.
  const path = (given.config ?? io.env.IOEX_CONFIG) as string | undefined
  if (path !== undefined && !(await isFlagsFile(resolve(io.folder, path)))) {
    return [await readNodeConfig(resolve(io.folder, path))]
  }
  const flags = await gatherNodeFlags(given, io.env, io.folder, path)
  if (flags.genesis === undefined) return planNode(flags, settings.network)
  const { params } = await readGenesis(flags.genesis)
  return planNode(flags, params.network)
}
