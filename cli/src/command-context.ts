import type { Result } from '@ioex/chain/bytes'
import type { RpcClient } from '@ioex/rpc/client'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { PassphraseSource } from './keys/passphrase.ts'
import { formatAmount, parseAmount } from './output/amount.ts'
import type { Output, OutputStreams } from './output/output.ts'
import type { Environment, Settings } from './settings.ts'

/** The world outside a command; tests bring their own. */
export interface CommandIo extends OutputStreams {
  readonly stdin: AsyncIterable<Buffer | string>
  readonly env: Environment
  /** Working folder that relative paths start from. */
  readonly folder: string
  /** Asks the person at the terminal without showing the answer; missing where nobody sits. */
  readonly prompt?: (question: string) => Promise<string>
}

/** What a command works with. */
export interface CommandContext {
  readonly settings: Settings
  readonly output: Output
  readonly io: CommandIo
  /** Client of the node that --rpc names, with the token if its file is there. */
  client(): Promise<RpcClient>
  /** Opens sealed keys. */
  readonly passphrase: PassphraseSource
  /** Address text of this network. */
  readonly addressPrefix: string
}

const worlds = new WeakMap<Command, CommandIo>()

/** Tells a program the world its commands run in. */
export function setCommandIo(program: Command, io: CommandIo): void {
  worlds.set(program, io)
}

/** The context of the command whose action runs; without the settings of --config if so asked. */
export async function contextOf(
  command: Command,
  { ignoresConfig = false } = {},
): Promise<CommandContext> {
  let program = command
  while (program.parent) program = program.parent
  const io = worlds.get(program)
  if (!io) throw new Error('a command runs outside createProgram')
  const { config, ...flags } = globalFlags(program)
  const given = ignoresConfig ? flags : { ...flags, config }
  const { openContext } = await import('./open-context.ts')
  return openContext(io, given)
}

function globalFlags(program: Command) {
  const { json, rpc, data, network, config, tokenFile, passphraseFile } =
    program.opts<Record<string, never>>()
  return { json, rpc, data, network, config, tokenFile, passphraseFile }
}

/** Makes a parser of ours into one for commander's options and arguments. */
export function argument<T>(parse: (text: string) => Result<T>): (text: string) => T {
  return (text) => {
    const parsed = parse(text)
    if (!parsed.ok) throw new InvalidArgumentError(parsed.fault.message)
    return parsed.value
  }
}

/** A node on the command line: its index or its key's address. */
export function readNodeArgument(text: string): number | string {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : text
}

/** A whole number from 0. */
export function countArgument(text: string): number {
  if (!/^[0-9]{1,10}$/.test(text)) throw new InvalidArgumentError('give a whole number from 0')
  return Number(text)
}

/**
 * An option that takes epochs, or a duration such as 30d: text for readEpochCount, which the
 * command asks, so that a command line that only wants help loads nothing for it.
 */
export function epochsOption(flags: string, description: string, byDefault?: number): Option {
  const text = `${description}: a count, or a duration such as 30d`
  return new Option(flags, text).default(byDefault?.toString())
}

/** An option that takes an amount of IOEX, with a default that help can show. */
export function amountOption(flags: string, description: string, byDefault?: bigint): Option {
  const option = new Option(flags, description).argParser(argument(parseAmount))
  return byDefault === undefined ? option : option.default(byDefault, formatAmount(byDefault))
}
