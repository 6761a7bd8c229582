import pino from 'pino'
import type { NodeMessage, NodeQuestion } from '../devnet/child-node.ts'
import { readNodeConfig } from './node-config.ts'
import { startNode } from './start-node.ts'

/**
 * The body of a node process: reads its config, starts the node, answers its supervisor, stops
 * cleanly on SIGTERM, SIGINT or when the supervisor is gone.
 */
async function main(configPath: string): Promise<void> {
  const config = await readNodeConfig(configPath)
  const logger = pino({ name: config.name, level: config.logLevel })
  const node = await startNode(config, logger)
  let stopping = false
  const stop = async (reason: string) => {
    if (stopping) process.exit(1)
    stopping = true
    logger.info({ reason }, 'stopping')
    await node.stop()
    process.exit(0)
  }
  process.on('SIGTERM', () => void stop('SIGTERM'))
  process.on('SIGINT', () => void stop('SIGINT'))
  process.on('disconnect', () => void stop('supervisor is gone'))
  process.on('message', (message) => void answer(message as NodeQuestion))

  const tell = (message: NodeMessage) => {
    if (process.connected) process.send?.(message)
  }
  const answer = async ({ id, question, argument }: NodeQuestion) => {
    try {
      tell({ type: 'answer', id, value: await node.ask(question, argument) })
    } catch (error) {
      tell({ type: 'refusal', id, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  tell({ type: 'ready', info: node.info })
}

const configPath = process.argv[2]
if (configPath === undefined) {
  console.error('usage: node-process CONFIG_FILE')
  process.exit(2)
}
main(configPath).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  if (process.env.IOEX_DEBUG) console.error(error)
  process.exit(1)
})
