import { UNITS_PER_IOEX } from '@ioex/chain/types'
import type { Command } from 'commander'
import { argument, contextOf } from '../command-context.ts'
import { parseAmount } from '../output/amount.ts'

const EXAMPLES = `
"init" makes the validator's keys in DATA/keys (node: libp2p, consensus: votes, main-chain: pays memo
anchors in ELA) and the owner's wallet in DATA/wallet, all sealed with one passphrase, and writes
DATA/genesis-entry.json, signed by every key, for whoever runs "ioex genesis create". The wallet
holds the money: the running validator does not need it, keep it elsewhere.

Examples:
  $ ioex validator init --network test --data /var/lib/ioex --bond 25000
  $ ioex validator init --data v1 --no-passphrase       keys in clear, for a trial
`
const DEFAULT_BOND = 10_000n * UNITS_PER_IOEX

export interface KeyFlags {
  readonly passphrase: boolean
  readonly wallet?: string
  readonly payout?: string
}

/** Flags of every command that makes keys. */
export function addKeyFlags(command: Command): Command {
  return command
    .option('--wallet <dir>', "folder whose wallet is the owner, default the node's own folder")
    .option('--payout <address>', 'where pay goes, default the owner')
    .option('--no-passphrase', 'keep new keys in clear: whoever reads the files has them')
}

/** validator init */
export function registerValidator(program: Command): void {
  const validator = program
    .command('validator')
    .description("a validator's keys, state and stake")
    .addHelpText('after', EXAMPLES)
  addKeyFlags(validator.command('init'))
    .description('make the keys and the signed entry for a genesis')
    .option('--bond <amount>', 'IOEX to bond at genesis', argument(parseAmount), DEFAULT_BOND)
    .action(async (flags: KeyFlags & { bond: bigint }, command: Command) => {
      const { initNode } = await import('../operate/init-actions.ts')
      await initNode(await contextOf(command), 'validator', flags, flags.bond)
    })
}
