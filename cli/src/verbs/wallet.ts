import type { Command } from 'commander'
import type { ImportOptions, SealOptions } from '../commands/wallet.ts'
import { argument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { parseAmount } from '../output/amount.ts'
import { OWNER_KEY_PATH } from '../wallet/owner-key-path.ts'
import { registerPegCommands } from './wallet-peg.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
The wallet is a file with 24 words, readable by you only: DATA/wallet/wallet.json. On the main and
test networks its words are sealed with a passphrase, from the terminal, --passphrase-file or
IOEX_PASSPHRASE_FILE; on a local network they lie in clear unless you give one.
Its key is ${OWNER_KEY_PATH}/0 (BIP-32) of the words (BIP-39).

Examples:
  $ ioex wallet create
  $ ioex wallet create --passphrase-file pass.txt
  $ ioex wallet create --no-passphrase    words in clear, whatever the network
  $ ioex wallet export > words.txt        keep them on paper, not on a disk
  $ ioex wallet import --phrase-file words.txt
  $ ioex wallet address
  $ ioex wallet balance
  $ ioex wallet send lioex1… 12.5
  $ ioex wallet deposit-address           bring ELA over from the main chain
  $ ioex wallet withdraw E… 2.5           and back
`

const work = () => import('../commands/wallet.ts')
const money = () => import('../commands/wallet-money.ts')

/** wallet create | import | address | balance | send | export, and the peg's verbs */
export function registerWallet(program: Command): void {
  const wallet = program
    .command('wallet')
    .description('the key that holds your money: make it, show it, pay with it')
  wallet
    .command('create')
    .description('make a wallet with new words')
    .option('--no-passphrase', 'keep the words in clear')
    .action(async (options: SealOptions, command: Command) => {
      await (await work()).makeWallet(await contextOf(command), options)
    })
  wallet
    .command('import')
    .description('bring the 24 words of a wallet, from a file or from standard input')
    .option('--phrase-file <file>', 'file with the words; default standard input')
    .option('--no-passphrase', 'keep the words in clear')
    .action(async (options: ImportOptions, command: Command) => {
      await (await work()).bringWallet(await contextOf(command), options)
    })
  wallet
    .command('address')
    .description('show the address to be paid at')
    .action(async (_options, command: Command) => {
      await (await work()).showAddress(await contextOf(command))
    })
  wallet
    .command('balance')
    .description('show the money of the wallet, or of any address')
    .argument('[address]', 'default: the wallet')
    .action(async (address: string | undefined, _options, command: Command) => {
      await (await money()).showBalance(await contextOf(command), address)
    })
  registerSend(wallet)
  registerPegCommands(wallet)
  registerExport(wallet)
  addExamples(wallet, EXAMPLES)
}

function registerSend(wallet: Command): void {
  wallet
    .command('send')
    .description('pay an address; waits until the transfer is final')
    .argument('<to>', 'address')
    .argument('<amount>', 'IOEX, up to 8 decimals', argument(parseAmount))
    .option('--no-wait', 'do not wait')
    .addHelpText('after', '\nExample:\n  $ ioex wallet send lioex1… 0.25\n')
    .action(async (to: string, amount: bigint, options: { wait: boolean }, command: Command) => {
      await (await money()).send(await contextOf(command), to, amount, options.wait)
    })
}

function registerExport(wallet: Command): void {
  wallet
    .command('export')
    .description('show the 24 words; whoever has them has the money')
    .option('-o, --output <file>', 'write them to a new file that only you can read')
    .action(async (options: { output?: string }, command: Command) => {
      await (await work()).exportWallet(await contextOf(command), options.output)
    })
}
