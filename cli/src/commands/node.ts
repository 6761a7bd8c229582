import { resolve } from 'node:path'
import type { Command } from 'commander'
import pino from 'pino'
import { contextOf } from '../command-context.ts'
import { interruption } from '../interruption.ts'
import { readNodeConfig } from '../nodes/node-config.ts'
import { usageError } from '../output/failure.ts'

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
    .usage('--config <file>')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      // The option that names the settings file of every other command names the node's here.
      const path = command.optsWithGlobals<{ config?: string }>().config
      if (path === undefined) throw usageError("name the node's config file with --config")
      const context = await contextOf(command, { ignoresConfig: true })
      const stop = interruption()
      const config = await readNodeConfig(resolve(context.io.folder, path))
      const { startNode } = await import('../nodes/start-node.ts')
      const node = await startNode(config, pino({ name: config.name, level: config.logLevel }))
      context.output.note(`${config.name} is ready: ${JSON.stringify(node.info)}`)
      await stop
      await node.stop()
    })
}
