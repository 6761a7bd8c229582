import { readFile } from 'node:fs/promises'
import { presets } from '@ioex/genesis/presets'
import type { RpcClient } from '@ioex/rpc/client'
import type { CommandContext, CommandIo } from './command-context.ts'
import { PassphraseSource } from './keys/passphrase.ts'
import { createOutput } from './output/output.ts'
import { type GivenSettings, resolveSettings, type Settings } from './settings.ts'

/** The context of a command from its flags, the environment and the files they name. */
export async function openContext(
  io: CommandIo,
  flags: GivenSettings & { readonly config?: string },
): Promise<CommandContext> {
  const settings = await resolveSettings(flags, io.env, io.folder)
  return {
    settings,
    io,
    output: createOutput(io, settings.json),
    addressPrefix: presets[settings.network].addressPrefix,
    client: () => openClient(settings),
    passphrase: new PassphraseSource({ file: settings.passphraseFile, prompt: io.prompt }),
  }
}

async function openClient({ rpc, tokenFile }: Settings): Promise<RpcClient> {
  const { createRpcClient } = await import('@ioex/rpc/client')
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
