import type { Command } from 'commander'
import type { OpenOptions, TopUpOptions } from '../commands/contract.ts'
import { amountOption, argument, countArgument, epochsOption } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { parseAmount } from '../output/amount.ts'
import { parseByteSize } from '../output/byte-size.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
A contract is what "ioex put" opens for you: n slots on n nodes, any k of which restore the data.
The wallet pays. "leave" ends a contract: give it again later to settle what could not be settled
yet; what is left of its locks comes back.

Examples:
  $ ioex contract ls
  $ ioex contract show 12
  $ ioex contract topup 12 0.5                 into its pot, which pays for repair
  $ ioex contract topup 12 0 --epochs 720      every slot is stored 720 epochs longer
  $ ioex contract topup 12 0 --epochs 30d      … by as many epochs as 30 days have
  $ ioex contract leave 12
  $ ioex contract open --data-shards 2 --total-shards 6 --slot 1MiB --price 0.5 --unit-price 0.01
`

const work = () => import('../commands/contract.ts')

/** contract open | ls | show | topup | leave */
export function registerContract(program: Command): void {
  const contract = program
    .command('contract')
    .description('what stores your data: terms, nodes, locks, health')
  registerOpen(contract)
  contract
    .command('ls')
    .description('contracts of the wallet, or of an address')
    .option('--payer <address>', 'default: the wallet')
    .option('--all', 'of everybody')
    .action(async (options: { payer?: string; all?: boolean }, command: Command) => {
      await (await work()).listContracts(await contextOf(command), options)
    })
  contract
    .command('show')
    .description('one contract: its slots, nodes, locks and health')
    .argument('<id>', 'index of the contract', countArgument)
    .action(async (id: number, _options, command: Command) => {
      await (await work()).showContract(await contextOf(command), id)
    })
  registerTopUp(contract)
  contract
    .command('leave')
    .description('end a contract; again, to settle its rails')
    .argument('<id>', 'index of the contract', countArgument)
    .action(async (id: number, _options, command: Command) => {
      await (await work()).leaveContract(await contextOf(command), id)
    })
  addExamples(contract, EXAMPLES)
}

function registerOpen(contract: Command): void {
  contract
    .command('open')
    .description("open one with the node owner's money (needs the node's token)")
    .requiredOption('--data-shards <k>', 'slots that suffice', countArgument)
    .requiredOption('--total-shards <n>', 'slots stored', countArgument)
    .requiredOption('--slot <size>', 'size of each slot', argument(parseByteSize))
    .addOption(
      amountOption('--price <amount>', 'most IOEX per GiB and epoch').makeOptionMandatory(),
    )
    .addOption(
      amountOption('--unit-price <amount>', 'most IOEX per GiB moved').makeOptionMandatory(),
    )
    .addOption(epochsOption('--term <epochs>', 'epochs to pay for', 1000))
    .addOption(amountOption('--traffic <amount>', 'IOEX for traffic of each slot', 0n))
    .addOption(amountOption('--pot <amount>', 'IOEX for repair', 0n))
    .option('--delegate <address>', 'who may have lost slots refilled')
    .addOption(amountOption('--delegate-fee <amount>', 'what it gets for each', 0n))
    .option('--trust-delegate', 'it may spend the pot beyond what lost slots forfeit')
    .action(async (options: OpenOptions, command: Command) => {
      await (await work()).openContract(await contextOf(command), options)
    })
}

function registerTopUp(contract: Command): void {
  contract
    .command('topup')
    .description('add to the pot, or --epochs to every slot, or --traffic; anyone may')
    .argument('<id>', 'index of the contract', countArgument)
    .argument('<amount>', 'IOEX', argument(parseAmount))
    .addOption(epochsOption('--epochs <count>', 'store every slot so much longer, at its price'))
    .option('--traffic', "into the traffic budget of every slot's rail instead of the pot")
    .action(async (id: number, amount: bigint, options: TopUpOptions, command: Command) => {
      await (await work()).topUpContract(await contextOf(command), id, amount, options)
    })
}
