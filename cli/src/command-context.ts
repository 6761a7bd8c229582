import { readFile } from 'node:fs/promises'
import { parseAddress, type Result } from '@ioex/chain/bytes'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient, type RpcClient } from '@ioex/rpc/client'
import { type Command, InvalidArgumentError } from 'commander'
import { PassphraseSource } from './keys/passphrase.ts'
import { usageError } from './output/failure.ts'
import { createOutput, type Output, type OutputStreams } from './output/output.ts'
import { type Environment, resolveSettings, type Settings } from './settings.ts'

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
  const settings = await resolveSettings(given, io.env, io.folder)
  return {
    settings,
    io,
    output: createOutput(io, settings.json),
    addressPrefix: presets[settings.network].addressPrefix,
    client: () => openClient(settings),
    passphrase: new PassphraseSource({ file: settings.passphraseFile, prompt: io.prompt }),
  }
}

function globalFlags(program: Command) {
  const { json, rpc, data, network, config, tokenFile, passphraseFile } =
    program.opts<Record<string, never>>()
  return { json, rpc, data, network, config, tokenFile, passphraseFile }
}

async function openClient({ rpc, tokenFile }: Settings): Promise<RpcClient> {
  const token = await readToken(tokenFile)
  return createRpcClient({ url: rpc, ...(token !== undefined && { token }) })
}

/** The token only adds rights: without its file, reading the ledger still works. */
async function readToken(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch {
    return undefined
  }
}

/** Makes a parser of ours into one for commander's options and arguments. */
export function argument<T>(parse: (text: string) => Result<T>): (text: string) => T {
  return (text) => {
    const parsed = parse(text)
    if (!parsed.ok) throw new InvalidArgumentError(parsed.fault.message)
    return parsed.value
  }
}

/** An address given on the command line. */
export function readAddressArgument(text: string, context: CommandContext): Uint8Array {
  const parsed = parseAddress(text, context.addressPrefix)
  if (!parsed.ok) throw usageError(`${parsed.fault.message} (network ${context.settings.network})`)
  return parsed.value
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
