import { open, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { formatAddress } from '@ioex/chain/bytes'
import { PayloadKind } from '@ioex/chain/types'
import type { LightChainClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import type { Command } from 'commander'
import {
  argument,
  type CommandContext,
  contextOf,
  readAddressArgument,
} from '../command-context.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { withProvenChain } from '../nodes/proven-chain.ts'
import { formatIoex, parseAmount } from '../output/amount.ts'
import { usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { OWNER_KEY_PATH } from '../wallet/owner-key.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import {
  createWallet,
  importWallet,
  readWallet,
  readWalletFace,
  type WalletFace,
} from '../wallet/wallet-file.ts'
import { registerPegCommands } from './wallet-peg.ts'

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
  $ ioex wallet balance
  $ ioex wallet send lioex1… 12.5
  $ ioex wallet deposit-address           bring ELA over from the main chain
  $ ioex wallet withdraw E… 2.5           and back
`

/** wallet create | import | address | balance | send | export, and the peg's verbs */
export function registerWallet(program: Command): void {
  const wallet = program
    .command('wallet')
    .description('the key that holds your money: make it, show it, pay with it')
    .addHelpText('after', EXAMPLES)
  wallet
    .command('create')
    .description('make a wallet with new words')
    .option('--no-passphrase', 'keep the words in clear')
    .action(async (options: { passphrase: boolean }, command: Command) => {
      const context = await contextOf(command)
      const seal = sealOf(context, options.passphrase)
      showWallet(context, await createWallet(context.settings.data, seal))
      context.output.note('Write its 24 words down now: "ioex wallet export" shows them.')
    })
  wallet
    .command('import')
    .description('bring the 24 words of a wallet, from a file or from standard input')
    .option('--phrase-file <file>', 'file with the words; default standard input')
    .option('--no-passphrase', 'keep the words in clear')
    .action(async (options: { phraseFile?: string; passphrase: boolean }, command: Command) => {
      const context = await contextOf(command)
      const seal = sealOf(context, options.passphrase)
      const text = await readPhrase(context, options.phraseFile)
      showWallet(context, await importWallet(context.settings.data, text, seal))
    })
  wallet
    .command('address')
    .description('show the address to be paid at')
    .action(async (_options, command: Command) => {
      const context = await contextOf(command)
      const address = addressText(context, await readWalletFace(context.settings.data))
      context.output.result({ address }, () => address)
    })
  wallet
    .command('balance')
    .description('show the money of the wallet, or of any address')
    .argument('[address]', 'default: the wallet')
    .action(async (address: string | undefined, _options, command: Command) => {
      await showBalance(await contextOf(command), address)
    })
  registerSend(wallet)
  registerPegCommands(wallet)
  registerExport(wallet)
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
      const context = await contextOf(command)
      if (amount === 0n) throw usageError('give an amount above 0')
      const receiver = readAddressArgument(to, context)
      const { owner } = await readWallet(context.settings.data, context.passphrase)
      const client = await context.client()
      const payload = { selector: PayloadKind.transfer, value: { to: receiver, amount } }
      const { id, final } = await withProvenChain(context.settings, (chain) =>
        sendOwnerTransaction(client, owner, payload, options.wait, chain),
      )
      const height = final?.height ?? null
      context.output.result({ id, to, amount, height, state: final?.state ?? 'pending' }, () =>
        height === null
          ? `Sent ${formatIoex(amount)} to ${to}, not final yet: transaction ${id}`
          : `Sent ${formatIoex(amount)} to ${to}: final in block ${height}, transaction ${id}`,
      )
    })
}

function registerExport(wallet: Command): void {
  wallet
    .command('export')
    .description('show the 24 words; whoever has them has the money')
    .option('-o, --output <file>', 'write them to a new file that only you can read')
    .action(async ({ output: path }: { output?: string }, command: Command) => {
      const context = await contextOf(command)
      const { phrase } = await readWallet(context.settings.data, context.passphrase)
      if (path === undefined) {
        context.output.result({ phrase }, () => phrase)
        return
      }
      const target = resolve(context.io.folder, path)
      const file = await open(target, 'wx', 0o600)
      try {
        await file.writeFile(`${phrase}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      context.output.result({ path: target }, () => `Wrote the words to ${target}`)
    })
}

async function readPhrase({ io }: CommandContext, path: string | undefined): Promise<string> {
  if (path !== undefined) return readFile(resolve(io.folder, path), 'utf8')
  let text = ''
  for await (const chunk of io.stdin) {
    text += chunk.toString()
    if (text.length > 10_000) throw usageError('standard input holds more than 24 words')
  }
  return text
}

/**
 * Words are sealed wherever they may hold real money, unless told otherwise; a local network's
 * wallet stays in clear unless a passphrase file is named.
 */
function sealOf(context: CommandContext, isWanted: boolean): PassphraseSource | undefined {
  if (!isWanted) return undefined
  const { network, passphraseFile } = context.settings
  const isLocal = network === 'local' || network === 'ci'
  return isLocal && passphraseFile === undefined ? undefined : context.passphrase
}

function addressText({ addressPrefix }: CommandContext, { address }: WalletFace): string {
  return formatAddress(address, addressPrefix)
}

function showWallet(context: CommandContext, wallet: WalletFace): void {
  const address = addressText(context, wallet)
  const { path } = wallet
  context.output.result({ address, path, sealed: wallet.isSealed }, () =>
    factsText([
      ['address', address],
      ['file', path],
      ['words', wallet.isSealed ? 'sealed with your passphrase' : 'in clear, not encrypted'],
    ]),
  )
}

async function showBalance(context: CommandContext, given: string | undefined): Promise<void> {
  const address = given ?? addressText(context, await readWalletFace(context.settings.data))
  const account = await withProvenChain(context.settings, (chain) =>
    chain ? provenAccount(context, chain, address) : toldAccount(context, address),
  )
  const { balance, bond, nonce, height, proven } = account
  context.output.result({ address, balance, bond, nonce, height, proven }, () =>
    factsText([
      ['address', address],
      ['balance', formatIoex(balance)],
      ...(bond === '0' ? [] : [['bond', formatIoex(bond)] as const]),
      ['as of block', String(height)],
      ['proven', proven ? 'yes' : 'no, by the word of the node: the network is not known here'],
    ]),
  )
}

async function provenAccount(context: CommandContext, chain: LightChainClient, address: string) {
  const { height } = await chain.head()
  const account = await chain.account(readAddressArgument(address, context))
  return {
    balance: (account?.balance ?? 0n).toString(),
    bond: (account?.bond ?? 0n).toString(),
    nonce: account?.nonce ?? 0,
    height,
    proven: true,
  }
}

async function toldAccount(context: CommandContext, address: string) {
  const client = await context.client()
  const account: ResultOf<'chain_getAccount'> = await client.call('chain_getAccount', { address })
  return { ...account, proven: false }
}
