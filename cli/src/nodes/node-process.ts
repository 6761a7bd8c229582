import { flushCompileCache } from 'node:module'
import type { Logger } from 'pino'
import type { NodeMessage, NodeQuestion } from '../devnet/child-node.ts'
import { PassphraseSource } from '../keys/passphrase.ts'
import { openHealthPages } from '../operate/health-pages.ts'
import { readNodeConfig } from './node-config.ts'
import { nodeLogger } from './node-logger.ts'
import type { RunningNode } from './running-node.ts'
import { startNode } from './start-node.ts'

/** A node that does not come to an end by itself would be left behind without its supervisor. */
const STOP_DEADLINE_MS = 15_000

/**
 * The body of a node process: reads its config, starts the node, answers its supervisor, stops
 * cleanly on SIGTERM, SIGINT or when the supervisor is gone.
 */
async function main(configPath: string): Promise<void> {
  const running: { logger?: Logger; node?: RunningNode } = {}
  let stopping = false
  const stop = async (reason: string, exitCode = 0) => {
    if (stopping) return
    stopping = true
    running.logger?.info({ reason }, 'stopping')
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref()
    await running.node?.stop()
    process.exit(exitCode)
  }
  // Before anything else: the supervisor may be killed, or change its mind, while we start.
  process.on('SIGTERM', () => void stop('SIGTERM'))
  process.on('SIGINT', () => (stopping ? process.exit(1) : void stop('SIGINT')))
  process.on('disconnect', () => void stop('supervisor is gone'))
  if (process.send && !process.connected) await stop('supervisor is gone')

  const config = await readNodeConfig(configPath)
  const logger = nodeLogger(config)
  running.logger = logger
  const tell = (message: NodeMessage) => {
    if (process.connected) process.send?.(message)
  }
  const passphrase = new PassphraseSource({ file: process.env.IOEX_PASSPHRASE_FILE })
  const pages = () => (running.node ? [{ ...running.node, role: config.role }] : [])
  await openHealthPages([config], pages)
  const node = await startNode(config, logger, passphrase)
  running.node = node
  void node.ended?.then((reason) => stop(reason))
  void node.failed?.then((reason) => stop(reason, 1))
  const answer = async ({ id, question, argument }: NodeQuestion) => {
    try {
      tell({ type: 'answer', id, value: await node.ask(question, argument) })
    } catch (error) {
      tell({ type: 'refusal', id, reason: reasonOf(error) })
    }
  }
  process.on('message', (message) => void answer(message as NodeQuestion))
  // Before ready, so that nodes which start next need not compile the same sources again.
  flushCompileCache()
  tell({ type: 'ready', info: node.info })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** All of it for the log; the last line is what the supervisor reports. */
function fail(error: unknown): never {
  console.error(error)
  console.error(reasonOf(error).replaceAll('\n', ' '))
  process.exit(1)
}

const configPath = process.argv[2]
if (configPath === undefined) {
  console.error('usage: node-process CONFIG_FILE')
  process.exit(2)
}
process.on('uncaughtException', fail)
main(configPath).catch(fail)
