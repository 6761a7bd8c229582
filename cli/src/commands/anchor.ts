import type { Command } from 'commander'
import { registerDecode } from '../anchor/decode-command.ts'
import { contextOf } from '../command-context.ts'
import { factsText } from '../output/table.ts'

const EXAMPLES = `
Example:
  $ ioex anchor status
  $ ioex anchor decode header 00000000b331…
`

/** anchor status: how deep the newest anchored checkpoint lies in the main chain. */
export function registerAnchor(program: Command): void {
  const anchor = program
    .command('anchor')
    .description('how this chain is anchored in the main chain')
    .addHelpText('after', EXAMPLES)
  anchor
    .command('status')
    .description('show the newest anchored epoch and its depth')
    .action(async (_options, command: Command) => {
      const context = await contextOf(command)
      const status = await (await context.client()).call('anchor_getStatus', {})
      context.output.result(status, () =>
        factsText([
          ['anchored epoch', status.epoch === null ? 'none yet' : String(status.epoch)],
          ['current epoch', String(status.currentEpoch)],
          ...(status.mainHeight === null
            ? []
            : ([
                ['state', status.state],
                ['method', status.method ?? ''],
                ['main block', String(status.mainHeight)],
                ['confirmations', String(status.confirmations)],
              ] as const)),
          ['main chain tip', String(status.mainTipHeight)],
        ]),
      )
    })
  registerDecode(anchor)
}
