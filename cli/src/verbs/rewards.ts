import type { Command } from 'commander'
import type { RewardsOptions } from '../commands/rewards.ts'
import { countArgument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { readPrice } from '../output/price.ts'

const EXAMPLES = `
Without ADDRESS: all nodes whose owner is your wallet. Default range: the last 24 epochs.

Examples:
  $ ioex rewards
  $ ioex rewards lioex1… --epoch 12          one statement, with every number explained
  $ ioex rewards lioex1… --from 1 --to 100 --csv > earnings.csv
  $ ioex rewards collect                     held pay of rails whose payers never came back
  $ ioex rewards --csv --price 0.042 --currency USD   with what the IOEX were worth to you
`

const COLLECT_HELP = `
Half of what a node earns is held until it covers the repair of what it stores, and paid out when
the rail is closed. Payers close their rails; of one who never comes back anybody may, once its
end and grace are over. That takes two steps with the proof window between them: give the command
again when it says so. Each step costs the wallet a byte fee; the pay goes to the payout address.

Examples:
  $ ioex rewards collect
  $ ioex rewards collect 7 --data wallet --json
`

/** rewards [ADDRESS] | collect [NODE]: what a node earned, epoch by epoch, or one epoch's statement. */
export function registerRewards(program: Command): void {
  const rewards = program
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
      const { showRewards } = await import('../commands/rewards.ts')
      await showRewards(await contextOf(command), node, options)
    })
  rewards
    .command('collect')
    .description('close rails that are over and get the pay back that was held for them')
    .argument('[node]', "a node's address or index, default the wallet's nodes")
    .addHelpText('after', COLLECT_HELP)
    .action(async (node: string | undefined, _options, command: Command) => {
      const { collectHeldPay } = await import('../commands/collect.ts')
      await collectHeldPay(await contextOf(command), node)
    })
}
