import pino from 'pino'
import type { NodeMessage, NodeQuestion } from '../devnet/child-node.ts'
import { readNodeConfig } from './node-config.ts'
import type { RunningNode } from './running-node.ts'
import { startNode } from './start-node.ts'

/** A node that does not come to an end by itself would be left behind without its supervisor. */
const STOP_DEADLINE_MS = 15_000

/**
 * The body of a node process: reads its config, starts the node, answers its supervisor, stops
 * cleanly on SIGTERM, SIGINT or when the supervisor is gone.
 */
async function main(configPath: string): Promise<void> {
  let node: RunningNode | undefined
  let stopping = false
  const stop = async () => {
    if (stopping) process.exit(1)
    stopping = true
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref()
    await node?.stop()
    process.exit(0)
  }
  // Before anything else: the supervisor may be killed, or change its mind, while we start.
  process.on('SIGTERM', () => void stop())
  process.on('SIGINT', () => void stop())
  process.on('disconnect', () => void stop())

  const config = await readNodeConfig(configPath)
  const logger = pino({ name: config.name, level: config.logLevel })
  process.once('exit', (code) => logger.info({ code }, 'ended'))
  const tell = (message: NodeMessage) => {
    if (process.connected) process.send?.(message)
  }
  const started = await startNode(config, logger)
  node = started
  const answer = async ({ id, question, argument }: NodeQuestion) => {
    try {
      tell({ type: 'answer', id, value: await started.ask(question, argument) })
    } catch (error) {
      tell({ type: 'refusal', id, reason: reasonOf(error) })
    }
  }
  process.on('message', (message) => void answer(message as NodeQuestion))
  tell({ type: 'ready', info: started.info })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The last line that the process writes is what its supervisor reports. */
function fail(error: unknown): never {
  if (process.env.IOEX_DEBUG) console.error(error)
  console.error(reasonOf(error))
  process.exit(1)
}

const configPath = process.argv[2]
if (configPath === undefined) {
  console.error('usage: node-process CONFIG_FILE')
  process.exit(2)
}
process.on('uncaughtException', fail)
main(configPath).catch(fail)
