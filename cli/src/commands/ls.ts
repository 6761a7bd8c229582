import type { Command } from 'commander'
import { contextOf } from '../command-context.ts'
import { formatByteSize } from '../output/byte-size.ts'

const EXAMPLES = `
The list is rebuilt from the chain alone: your contracts, their labels, the manifests on peers.

Example:
  $ ioex ls --json
`

/** ls: the owner's files. */
export function registerLs(program: Command): void {
  program
    .command('ls')
    .description('list your files on the network')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const context = await contextOf(command)
      const { openStorage } = await import('../storage/open-storage.ts')
      const { client, close } = await openStorage(context)
      try {
        const files = await client.list()
        context.output.result({ files }, () => {
          if (files.length === 0) return 'No files yet: back one up with "ioex put FILE".'
          return context.output.table(
            [
              { head: 'name' },
              { head: 'size', align: 'right' },
              { head: 'modified' },
              { head: 'slots', align: 'right' },
              { head: 'contract', align: 'right' },
              { head: 'state' },
            ],
            files.map((file) => [
              file.path,
              formatByteSize(file.size),
              new Date(file.mtimeMs).toISOString().slice(0, 16).replace('T', ' '),
              `${file.k} of ${file.n}`,
              file.contracts.join(', '),
              file.complete ? 'complete' : 'incomplete',
            ]),
          )
        })
      } finally {
        await close()
      }
    })
}
