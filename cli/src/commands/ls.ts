import type { CommandContext } from '../command-context.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { openStorage } from '../storage/open-storage.ts'

/** Lists the owner's files. */
export async function ls(context: CommandContext): Promise<void> {
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
}
