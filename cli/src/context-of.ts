import type { Command } from 'commander'
import type { CommandContext, CommandIo } from './command-context.ts'

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
