import type { RpcClient } from '@ioex/rpc/client'
import type { PassphraseSource } from './keys/passphrase.ts'
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
