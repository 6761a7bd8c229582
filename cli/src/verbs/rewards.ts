import type { Command } from 'commander'
import type { RewardsOptions } from '../commands/rewards.ts'
import { contextOf, countArgument } from '../command-context.ts'
import { readPrice } from '../output/price.ts'

const EXAMPLES = `
Without ADDRESS: all nodes whose owner is your wallet. Default range: the last 24 epochs.

Examples:
  $ ioex rewards
  $ ioex rewards lioex1… --epoch 12          one statement, with every number explained
  $ ioex rewards lioex1… --from 1 --to 100 --csv > earnings.csv
  $ ioex rewards --csv --price 0.042 --currency USD   with what the IOEX were worth to you
`

/** rewards [ADDRESS]: what a node earned, epoch by epoch, or one epoch's statement. */
export function registerRewards(program: Command): void {
  program
    .command('rewards')
    .description('what a node earned, and why')
    .argument('[node]', "a node's address or index")
    .option('--epoch <epoch>', 'the statement of one epoch', countArgument)
    .option('--from <epoch>', 'first epoch', countArgument)
    .option('--to <epoch>', 'last epoch', countArgument)
    .option('--csv', 'comma-separated values, amounts in units')
    .option('--price <number>', 'what 1 IOEX was worth: adds the value of each income', readPrice)
    .option('--currency <code>', 'what the price is in', 'USD')
    .addHelpText('after', EXAMPLES)
    .action(async (node: string | undefined, options: RewardsOptions, command: Command) => {
      const { rewards } = await import('../commands/rewards.ts')
      await rewards(await contextOf(command), node, options)
    })
}
