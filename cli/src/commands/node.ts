import { resolve } from 'node:path'
import type { Command } from 'commander'
import pino from 'pino'
import { contextOf } from '../command-context.ts'
import { interruption } from '../interruption.ts'
import { readNodeConfig } from '../nodes/node-config.ts'

const EXAMPLES = `
The config file names role, genesis, data folder, listeners and peers; "ioex devnet" writes one for
each of its nodes (DATA/peer-1/config.json) to start from.

Example:
  $ ioex node --config peer-1/config.json
`

/** node: one node in the foreground. */
export function registerNode(program: Command): void {
  program
    .command('node')
    .description('run one node: validator, bootstrap or peer')
    .requiredOption('--config <file>', 'its config file')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const context = await contextOf(command)
      const stop = interruption()
      const path = command.optsWithGlobals<{ config: string }>().config
      const config = await readNodeConfig(resolve(context.io.folder, path))
      const { startNode } = await import('../nodes/start-node.ts')
      const node = await startNode(config, pino({ name: config.name, level: config.logLevel }))
      context.output.note(`${config.name} is ready: ${JSON.stringify(node.info)}`)
      await stop
      await node.stop()
    })
}
