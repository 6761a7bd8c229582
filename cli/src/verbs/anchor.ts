import { type Command, Option } from 'commander'
import { DECODE_KINDS, type DecodeFlags } from '../anchor/decode-kinds.ts'
import type { VerifyFlags } from '../commands/anchor.ts'
import { countArgument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
Example:
  $ ioex anchor status
  $ ioex anchor verify 12
  $ ioex anchor decode header 00000000b331…
`

const VERIFY_EXAMPLES = `
With --from everything is recomputed from the exported blocks; only the genesis file is trusted.

Examples:
  $ ioex anchor verify 12
  $ ioex audit --export history && ioex anchor verify 12 --from history --trust-anchor genesis.json
`

const DECODE_EXAMPLES = `
Hashes are shown in both orientations. --against takes the internal one (as the bytes stand, as
createauxblock and submitsideauxblock write it) where a proof commits to it; "-" reads the hex
from standard input.

Examples:
  $ ioex anchor decode header 00000000b331…
  $ ioex anchor decode auxpow 0200000001… --against 7926398947f3…
  $ ioex anchor decode side-auxpow - --against c22ab520c53d… < proof.hex
  $ ioex anchor decode address XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ
`

const work = () => import('../commands/anchor.ts')

/** anchor status: how deep the newest anchored checkpoint lies in the main chain. */
export function registerAnchor(program: Command): void {
  const anchor = program
    .command('anchor')
    .description('how this chain is anchored in the main chain')
  anchor
    .command('status')
    .description('show the newest anchored epoch and its depth')
    .action(async (_options, command: Command) => {
      await (await work()).anchorStatus(await contextOf(command))
    })
  anchor
    .command('verify')
    .description('check the anchor that covers an epoch, step by step, down to the Bitcoin work')
    .argument('<epoch>', 'epoch whose checkpoint must be anchored', countArgument)
    .option('--from <dir>', 'prove it from an export alone, without any node')
    .option(
      '--trust-anchor <file>',
      'with --from: genesis file to trust, default DATA/genesis.json',
    )
    .option('--forks <file>', 'with --from: forks that this release does not carry')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(async (epoch: number, flags: VerifyFlags, command: Command) => {
      await (await work()).verify(await contextOf(command), epoch, flags)
    })
  registerDecode(anchor)
  addExamples(anchor, EXAMPLES)
}

/** anchor decode KIND HEX: any byte format of the main chain, with validity and reason. */
function registerDecode(anchor: Command): void {
  anchor
    .command('decode')
    .description('show what main-chain bytes hold, as JSON, and whether they are valid')
    .argument('<kind>', DECODE_KINDS.join(', '))
    .argument('<hex>', 'the bytes as hex (for an address also its text); - reads standard input')
    .option('--against <hash>', 'hash that a proof must be for, or an object must have')
    .option('--genesis <hash>', 'genesis of the side chain that a side-auxpow must be of, internal')
    .addOption(new Option('--side', 'the transaction is of a classic side chain'))
    .addHelpText('after', DECODE_EXAMPLES)
    .action(async (kind: string, hex: string, flags: DecodeFlags, command: Command) => {
      const { decode } = await import('../anchor/decode-command.ts')
      await decode(await contextOf(command), kind, hex, flags)
    })
}
