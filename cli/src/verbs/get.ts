import type { Command } from 'commander'
import type { GetOptions } from '../commands/get.ts'
import { contextOf } from '../command-context.ts'

const EXAMPLES = `
Every range is checked against the slot's root before it counts. An interrupted get goes on
from its .part file.

Examples:
  $ ioex get holiday.mp4 -o holiday.mp4
  $ ioex get photos.tar -o first.bin --range 0-1048576
`

/** get NAME: bring a file back. */
export function registerGet(program: Command): void {
  program
    .command('get')
    .description('restore a file from peers')
    .argument('<name>', 'its name in your storage (see "ioex ls")')
    .requiredOption('-o, --output <file>', 'where to write it')
    .option('--range <from-to>', 'only these bytes, from inclusive, to exclusive')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: GetOptions, command: Command) => {
      const { get } = await import('../commands/get.ts')
      await get(await contextOf(command), path, options)
    })
}
