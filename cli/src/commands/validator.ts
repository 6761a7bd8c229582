import { resolve } from 'node:path'
import { formatAddress } from '@ioex/chain/bytes'
import { peerIdOfKey } from '@ioex/chain/net'
import { entryFileText } from '@ioex/genesis/builder'
import { UNITS_PER_IOEX } from '@ioex/chain/types'
import type { Command } from 'commander'
import {
  argument,
  type CommandContext,
  contextOf,
  readAddressArgument,
} from '../command-context.ts'
import { formatIoex, parseAmount } from '../output/amount.ts'
import { factsText } from '../output/table.ts'
import { entryPath, type KeyKeeping, writeEntry } from '../operate/node-keys.ts'

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

export function keepingOf({ settings, io, passphrase }: CommandContext, flags: KeyFlags) {
  return {
    data: settings.data,
    walletData: flags.wallet === undefined ? settings.data : resolve(io.folder, flags.wallet),
    passphrase,
    isSealed: flags.passphrase,
  } satisfies KeyKeeping
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
      await initNode(await contextOf(command), 'validator', flags, flags.bond)
    })
}

/** Makes keys and entry of a validator or bootstrap node and shows them. */
export async function initNode(
  context: CommandContext,
  role: 'validator' | 'bootstrap',
  flags: KeyFlags,
  bond: bigint,
): Promise<void> {
  const { settings, output, addressPrefix } = context
  const payout = flags.payout === undefined ? undefined : readAddressArgument(flags.payout, context)
  const signed = await writeEntry(keepingOf(context, flags), role, {
    network: settings.network,
    bond,
    ...(payout && { payout }),
  })
  const file = JSON.parse(entryFileText(signed)) as Record<string, string | undefined>
  const path = entryPath(settings.data)
  const peerId = peerIdOfKey(signed.entry.nodeKey)
  output.result({ path, peerId, ...file }, () =>
    factsText([
      ['network', settings.network],
      ['role', role],
      ['owner', file.owner as string],
      ['payout', formatAddress(signed.entry.payout, addressPrefix)],
      ['node key', file.nodeKey as string],
      ['peer id', peerId],
      ...(role === 'validator'
        ? ([
            ['consensus key', file.consensusKey as string],
            ['ELA for anchors', file.mainChainAddress as string],
            ['bond', formatIoex(bond)],
          ] as const)
        : []),
      ['entry', path],
    ]),
  )
  if (!flags.passphrase) output.note('New keys are in clear: whoever reads the files has them.')
}
