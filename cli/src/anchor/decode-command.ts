import { type Fault, parseHex } from '@ioex/chain/bytes'
import { BLOCK_BYTES_MAX, type Dialect } from '@ioex/chain/elastos'
import type { CommandContext } from '../command-context.ts'
import { jsonText } from '../output/json-text.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { decodeText } from './decode.ts'
import { DECODE_KINDS, type DecodeFlags, type DecodeKind } from './decode-kinds.ts'
import { describeAddress } from './describe-address.ts'

const HASH_BYTES = 32
/** Hex of the largest block, with line ends. */
const STDIN_CHARACTERS_MAX = BLOCK_BYTES_MAX * 2 + 4096

/** Shows any byte format of the main chain, with validity and reason. */
export async function decode(
  context: CommandContext,
  kind: string,
  hex: string,
  flags: DecodeFlags,
): Promise<void> {
  const text = hex === '-' ? await readStdin(context) : hex.trim()
  const result = decodeArgument(readKind(kind), text, flags)
  // JSON is the only form there is: with --json on one line, otherwise to be read by people.
  context.output.result(result, () => jsonText(result, 2))
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
