import { type Fault, parseHex } from '@ioex/chain/bytes'
import { BLOCK_BYTES_MAX, type Dialect } from '@ioex/chain/elastos'
import { type Command, Option } from 'commander'
import { type CommandContext, contextOf } from '../command-context.ts'
import { jsonText } from '../output/json-text.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { DECODE_KINDS, type DecodeKind, decodeText } from './decode.ts'
import { describeAddress } from './describe-address.ts'

const EXAMPLES = `
Hashes are shown in both orientations. --against takes the internal one (as the bytes stand, as
createauxblock and submitsideauxblock write it) where a proof commits to it; "-" reads the hex
from standard input.

Examples:
  $ ioex anchor decode header 00000000b331…
  $ ioex anchor decode auxpow 0200000001… --against 7926398947f3…
  $ ioex anchor decode side-auxpow - --against c22ab520c53d… < proof.hex
  $ ioex anchor decode address XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ
`
const HASH_BYTES = 32
/** Hex of the largest block, with line ends. */
const STDIN_CHARACTERS_MAX = BLOCK_BYTES_MAX * 2 + 4096

interface DecodeFlags {
  readonly against?: string
  readonly genesis?: string
  readonly side?: boolean
}

/** anchor decode KIND HEX: any byte format of the main chain, with validity and reason. */
export function registerDecode(anchor: Command): void {
  anchor
    .command('decode')
    .description('show what main-chain bytes hold, as JSON, and whether they are valid')
    .argument('<kind>', DECODE_KINDS.join(', '))
    .argument('<hex>', 'the bytes as hex (for an address also its text); - reads standard input')
    .option('--against <hash>', 'hash that a proof must be for, or an object must have')
    .option('--genesis <hash>', 'genesis of the side chain that a side-auxpow must be of, internal')
    .addOption(new Option('--side', 'the transaction is of a classic side chain'))
    .addHelpText('after', EXAMPLES)
    .action(async (kind: string, hex: string, flags: DecodeFlags, command: Command) => {
      const context = await contextOf(command)
      const text = hex === '-' ? await readStdin(context) : hex.trim()
      const result = decodeArgument(readKind(kind), text, flags)
      // JSON is the only form there is: with --json on one line, otherwise to be read by people.
      context.output.result(result, () => jsonText(result, 2))
    })
}

function decodeArgument(kind: DecodeKind, text: string, flags: DecodeFlags): object {
  if (kind === 'address') return describeAddress(text, flags.against)
  const dialect: Dialect = flags.side ? 'side' : 'main'
  const decoded = decodeText(kind, text, {
    against: readHash(flags.against, '--against'),
    genesis: readHash(flags.genesis, '--genesis'),
    dialect,
  })
  if (decoded.ok) return decoded.value
  throw hexError(decoded.fault)
}

function readKind(kind: string): DecodeKind {
  const known = DECODE_KINDS.find((name) => name === kind)
  if (known) return known
  throw usageError(`there is no kind ${kind.slice(0, 40)}: give one of ${DECODE_KINDS.join(', ')}`)
}

function readHash(text: string | undefined, flag: string): Uint8Array | undefined {
  if (text === undefined) return undefined
  const bytes = parseHex(text.trim(), HASH_BYTES)
  if (bytes.ok && bytes.value.length === HASH_BYTES) return bytes.value
  throw usageError(`${flag} is a hash: 64 hex digits`)
}

function hexError({ code, message }: Fault): CommandError {
  return new CommandError(code, message, 2)
}

async function readStdin({ io }: CommandContext): Promise<string> {
  let text = ''
  for await (const chunk of io.stdin) {
    text += chunk.toString()
    if (text.length > STDIN_CHARACTERS_MAX) {
      throw usageError(`the input is longer than a block of ${BLOCK_BYTES_MAX} bytes as hex`)
    }
  }
  return text.replace(/\s+/g, '')
}
