import type { Command } from 'commander'
import type { DepositOptions, WithdrawOptions } from '../commands/wallet-peg.ts'
import { argument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { parseAmount } from '../output/amount.ts'

const work = () => import('../commands/wallet-peg.ts')

/** wallet deposit-address | deposit | withdraw: coin from and to the main chain. */
export function registerPegCommands(wallet: Command): void {
  registerDepositAddress(wallet)
  registerDeposit(wallet)
  registerWithdraw(wallet)
}

function registerDepositAddress(wallet: Command): void {
  wallet
    .command('deposit-address')
    .description('show where to send ELA on the main chain so that it arrives here')
    .argument('[address]', 'who gets it; default: the wallet')
    .addHelpText('after', '\nExample:\n  $ ioex wallet deposit-address\n')
    .action(async (given: string | undefined, _options: unknown, command: Command) => {
      await (await work()).showDepositAddress(await contextOf(command), given)
    })
}

function registerDeposit(wallet: Command): void {
  wallet
    .command('deposit')
    .description('send ELA from a main-chain key to this wallet; waits until it is credited')
    .argument('<amount>', 'ELA that arrive, up to 8 decimals', argument(parseAmount))
    .requiredOption('--main <url>', 'JSON-RPC address of a main-chain node')
    .requiredOption(
      '--main-key-file <file>',
      'file with the main-chain (P-256) key, plain or sealed',
    )
    .option('--to <address>', 'who gets it; default: the wallet')
    .option('--no-wait', 'do not wait')
    .addHelpText(
      'after',
      '\nExample, on a local network:\n' +
        '  $ ioex wallet deposit 5 --main http://127.0.0.1:22336 \\\n' +
        '      --main-key-file .ioex/validator-1/keys/main-chain.key\n',
    )
    .action(async (amount: bigint, options: DepositOptions, command: Command) => {
      await (await work()).deposit(await contextOf(command), amount, options)
    })
}

function registerWithdraw(wallet: Command): void {
  wallet
    .command('withdraw')
    .description('send money to the main chain; waits until it is final here')
    .argument('<main-address>', 'main-chain address, E… or 8…')
    .argument('<amount>', 'what arrives there, up to 8 decimals', argument(parseAmount))
    .option('--no-wait', 'do not wait')
    .option('--force', 'even to an address that arbiters are known to skip')
    .addHelpText('after', '\nExample:\n  $ ioex wallet withdraw EVHg9Jv6… 2.5\n')
    .action(async (to: string, amount: bigint, options: WithdrawOptions, command: Command) => {
      await (await work()).withdraw(await contextOf(command), to, amount, options)
    })
}
