import { type Command, InvalidArgumentError } from 'commander'
import { amountOption, argument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import type { KeyFlags } from '../operate/init-actions.ts'
import type { StakeFlags } from '../operate/stake-actions.ts'
import type { OwnerFlags, TermsFlags } from '../operate/validator-terms.ts'
import { parseAmount, UNITS_PER_IOEX } from '../output/amount.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
"init" makes the validator's keys in DATA/keys (node: libp2p, consensus: votes, main-chain: pays memo
anchors in ELA) and the owner's wallet in DATA/wallet, all sealed with one passphrase, and writes
DATA/genesis-entry.json, signed by every key, for whoever runs "ioex genesis create". The wallet
holds the money: the running validator does not need it, keep it elsewhere.

Examples:
  $ ioex validator init --network test --data /var/lib/ioex --bond 25000
  $ ioex validator init --data v1 --no-passphrase       keys in clear, for a trial
  $ ioex validator status --data /var/lib/ioex
  $ ioex validator bond 5000 --data wallet
  $ ioex validator unbond 5000 --data wallet
  $ ioex validator release --data wallet                what unbond asked back, once it is due
  $ ioex validator delegate ioex1… 250
  $ ioex validator set --commission 5 --data v1 --wallet wallet
  $ ioex validator rotate-key --data v1 --wallet wallet
  $ ioex validator lease export lease.json --data old
  $ ioex validator lease import lease.json --data new
`
const DEFAULT_BOND = 10_000n * UNITS_PER_IOEX

/** Flags of every command that makes keys. */
export function addKeyFlags(command: Command): Command {
  return command
    .option('--wallet <dir>', "folder whose wallet is the owner, default the node's own folder")
    .option('--payout <address>', 'where pay goes, default the owner')
    .option('--no-passphrase', 'keep new keys in clear: whoever reads the files has them')
}

/** validator init | status | bond | unbond | delegate | release | set | rotate-key | lease */
export function registerValidator(program: Command): void {
  const validator = program.command('validator').description("a validator's keys, state and stake")
  addKeyFlags(validator.command('init'))
    .description('make the keys and the signed entry for a genesis')
    .addOption(amountOption('--bond <amount>', 'IOEX to bond at genesis', DEFAULT_BOND))
    .action(async (flags: KeyFlags & { bond: bigint }, command: Command) => {
      const { initNode } = await import('../operate/init-actions.ts')
      await initNode(await contextOf(command), 'validator', flags, flags.bond)
    })
  registerStatus(validator)
  registerStake(validator)
  registerTerms(validator)
  registerLease(validator)
  addExamples(validator, EXAMPLES)
}

function registerLease(validator: Command): void {
  const actions = () => import('../operate/lease-actions.ts')
  const lease = validator
    .command('lease')
    .description('move a validator to another machine without ever signing twice')
  lease
    .command('export')
    .description('write the lease of the stopped validator; its folder signs nothing any more')
    .argument('<file>', 'new file')
    .action(async (file: string, _options, command: Command) => {
      await (await actions()).exportLease(await contextOf(command), file)
    })
  lease
    .command('import')
    .description('take the lease over, beside a copy of the consensus key')
    .argument('<file>', 'what export wrote')
    .action(async (file: string, _options, command: Command) => {
      await (await actions()).importLease(await contextOf(command), file)
    })
}

function registerStatus(validator: Command): void {
  validator
    .command('status')
    .description('show power, votes, missed views, lag, anchors and peers of a validator')
    .option('--validator <validator>', "index or owner's address, default that of the data folder")
    .option('--health <url>', 'its health page, default the port of this network on loopback')
    .action(async (flags: { validator?: string; health?: string }, command: Command) => {
      const { showValidatorStatus } = await import('../operate/validator-status.ts')
      await showValidatorStatus(await contextOf(command), flags)
    })
}

const amountArgument = argument(parseAmount)

function registerStake(validator: Command): void {
  const actions = () => import('../operate/stake-actions.ts')
  validator
    .command('bond')
    .description("raise the stake of the wallet's own validator")
    .argument('<amount>', 'IOEX', amountArgument)
    .option('--no-wait', 'do not wait until it is final')
    .action(async (amount: bigint, flags: StakeFlags, command: Command) => {
      await (await actions()).bond(await contextOf(command), amount, flags)
    })
  validator
    .command('unbond')
    .description('ask stake back; it is paid out behind anchors ("ioex validator release")')
    .argument('<amount>', 'IOEX', amountArgument)
    .option('--validator <validator>', 'take it from this one, where the wallet delegated')
    .option('--no-wait', 'do not wait until it is final')
    .action(async (amount: bigint, flags: StakeFlags, command: Command) => {
      await (await actions()).unbond(await contextOf(command), amount, flags)
    })
  validator
    .command('delegate')
    .description("stake on somebody's validator")
    .argument('<validator>', "index or owner's address")
    .argument('<amount>', 'IOEX', amountArgument)
    .option('--no-wait', 'do not wait until it is final')
    .action(async (text: string, amount: bigint, flags: StakeFlags, command: Command) => {
      await (await actions()).delegate(await contextOf(command), text, amount, flags)
    })
  validator
    .command('release')
    .description('pay out stake whose time is over')
    .option('--no-wait', 'do not wait until it is final')
    .action(async (flags: StakeFlags, command: Command) => {
      await (await actions()).release(await contextOf(command), flags)
    })
}

function registerTerms(validator: Command): void {
  const actions = () => import('../operate/validator-terms.ts')
  const withOwner = (command: Command) =>
    command
      .option('--wallet <dir>', "folder of the owner's wallet, default the validator's own folder")
      .option('--no-wait', 'do not wait until it is final')
  withOwner(validator.command('set'))
    .description('change commission, payout or main-chain key, from the epoch after the next on')
    .option('--commission <percent>', "what it keeps of its delegators' rewards", commission)
    .option('--payout <address>', 'where its rewards go')
    .option('--main-chain-key', "the folder's keys/main-chain.key pays memo anchors from now on")
    .action(async (flags: TermsFlags, command: Command) => {
      await (await actions()).setTerms(await contextOf(command), flags)
    })
  withOwner(validator.command('rotate-key'))
    .description('make a new consensus key; the running validator changes over by itself')
    .action(async (flags: OwnerFlags, command: Command) => {
      await (await actions()).rotateConsensusKey(await contextOf(command), flags)
    })
}

/** Percent with two decimals at most, as 1/10,000. */
function commission(text: string): number {
  const [, whole, decimals = ''] = /^(\d{1,3})(?:\.(\d{1,2}))?%?$/.exec(text) ?? []
  const points = Number(`${whole}${decimals.padEnd(2, '0')}`)
  if (whole !== undefined && points <= 10_000) return points
  throw new InvalidArgumentError('give a percentage from 0 to 100, such as 2.5')
}
