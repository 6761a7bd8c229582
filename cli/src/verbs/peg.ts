import type { Command } from 'commander'
import type { DepositFlags, VoteFlags, WithdrawalFlags } from '../commands/peg.ts'
import { countArgument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
Coin crosses with "ioex wallet deposit-address" and "ioex wallet withdraw"; this shows how the peg
stands. Owners of validators stop it, let it go on, or give one withdrawal back by vote: more than
2/3 of the weight of the set decide.

Examples:
  $ ioex peg status
  $ ioex peg deposits --state failed
  $ ioex peg deposit 5f0c…             what became of a main-chain transaction
  $ ioex peg withdrawals --epoch 12    those that the checkpoint of epoch 12 lists
  $ ioex peg vote pause --validator 2
  $ ioex peg vote resume --validator 2
  $ ioex peg vote return 7 --validator 2
`

const work = () => import('../commands/peg.ts')

/** peg status | deposits | deposit | withdrawals | vote */
export function registerPeg(program: Command): void {
  const peg = program
    .command('peg')
    .description('the peg with the main chain: reserve, deposits, withdrawals, votes')
  peg
    .command('status')
    .description('show deposit address, reserve, daily cap and whether it is stopped')
    .action(async (_options: unknown, command: Command) => {
      await (await work()).pegStatus(await contextOf(command))
    })
  registerLists(peg)
  registerVote(peg)
  addExamples(peg, EXAMPLES)
}

function registerLists(peg: Command): void {
  peg
    .command('deposits')
    .description('list deposits in the order in which they were recorded')
    .option('--state <state>', 'credited, failed, orphaned or replaced')
    .option('--cursor <cursor>', 'start of the next page')
    .action(async (flags: DepositFlags, command: Command) => {
      await (await work()).listDeposits(await contextOf(command), flags)
    })
  peg
    .command('deposit')
    .description('show what became of a main-chain transaction')
    .argument('<txid>', 'id as main-chain wallets show it')
    .action(async (txid: string, _options: unknown, command: Command) => {
      await (await work()).showDeposit(await contextOf(command), txid)
    })
  peg
    .command('withdrawals')
    .description('list withdrawals, of one epoch or all')
    .option('--epoch <epoch>', 'those that its checkpoint lists', countArgument)
    .option('--owner <address>', 'of this address')
    .option('--cursor <cursor>', 'start of the next page')
    .action(async (flags: WithdrawalFlags, command: Command) => {
      await (await work()).listWithdrawals(await contextOf(command), flags)
    })
}

function registerVote(peg: Command): void {
  const vote = peg.command('vote').description("vote with the key of a validator's owner")
  const add = (name: string, kind: VoteFlags['kind'], description: string) => {
    const command = vote.command(name).description(description)
    if (kind === 'returnWithdrawal') command.argument('<withdrawal>', 'its index', countArgument)
    command.requiredOption('--validator <index>', 'whose owner this wallet is', countArgument)
    command.option('--owner-key-file <file>', "the owner's key instead of the wallet")
    command.action(async (...args: unknown[]) => {
      const run = args.at(-1) as Command
      const [withdrawal = 0] = run.processedArgs as number[]
      const { validator, ownerKeyFile } = run.opts<Omit<VoteFlags, 'kind' | 'withdrawal'>>()
      const flags = { validator, kind, withdrawal, ownerKeyFile }
      await (await work()).castVote(await contextOf(run), flags)
    })
  }
  add('pause', 'pause', 'stop withdrawals')
  add('resume', 'resume', 'let withdrawals go on')
  add('return', 'returnWithdrawal', 'give a withdrawal back that the main chain will never pay')
}
