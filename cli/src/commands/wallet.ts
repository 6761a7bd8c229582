import { open, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { formatAddress } from '@ioex/chain/bytes'
import type { CommandContext } from '../command-context.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import {
  createWallet,
  importWallet,
  readWallet,
  readWalletFace,
  type WalletFace,
} from '../wallet/wallet-file.ts'

export interface SealOptions {
  /** False: keep the words in clear. */
  readonly passphrase: boolean
}

export interface ImportOptions extends SealOptions {
  readonly phraseFile?: string
}

/** Makes a wallet with new words and shows it. */
export async function makeWallet(context: CommandContext, options: SealOptions): Promise<void> {
  const seal = sealOf(context, options.passphrase)
  showWallet(context, await createWallet(context.settings.data, seal))
  context.output.note('Write its 24 words down now: "ioex wallet export" shows them.')
}

/** Makes a wallet of the 24 words in a file or on standard input. */
export async function bringWallet(context: CommandContext, options: ImportOptions): Promise<void> {
  const seal = sealOf(context, options.passphrase)
  const text = await readPhrase(context, options.phraseFile)
  showWallet(context, await importWallet(context.settings.data, text, seal))
}

/** Shows the address to be paid at. */
export async function showAddress(context: CommandContext): Promise<void> {
  const address = addressText(context, await readWalletFace(context.settings.data))
  context.output.result({ address }, () => address)
}

/** Shows the 24 words, or writes them to a new file. */
export async function exportWallet(
  context: CommandContext,
  path: string | undefined,
): Promise<void> {
  const { phrase } = await readWallet(context.settings.data, context.passphrase)
  if (path === undefined) {
    context.output.result({ phrase }, () => phrase)
    return
  }
  const target = resolve(context.io.folder, path)
  const file = await open(target, 'wx', 0o600)
  try {
    await file.writeFile(`${phrase}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  context.output.result({ path: target }, () => `Wrote the words to ${target}`)
}

async function readPhrase({ io }: CommandContext, path: string | undefined): Promise<string> {
  if (path !== undefined) return readFile(resolve(io.folder, path), 'utf8')
  let text = ''
  for await (const chunk of io.stdin) {
    text += chunk.toString()
    if (text.length > 10_000) throw usageError('standard input holds more than 24 words')
  }
  return text
}

/**
 * Words are sealed wherever they may hold real money, unless told otherwise; a local network's
 * wallet stays in clear unless a passphrase file is named.
 */
function sealOf(context: CommandContext, isWanted: boolean): PassphraseSource | undefined {
  if (!isWanted) return undefined
  const { network, passphraseFile } = context.settings
  const isLocal = network === 'local' || network === 'ci'
  return isLocal && passphraseFile === undefined ? undefined : context.passphrase
}

function addressText({ addressPrefix }: CommandContext, { address }: WalletFace): string {
  return formatAddress(address, addressPrefix)
}

function showWallet(context: CommandContext, wallet: WalletFace): void {
  const address = addressText(context, wallet)
  const { path } = wallet
  context.output.result({ address, path, sealed: wallet.isSealed }, () =>
    factsText([
      ['address', address],
      ['file', path],
      ['words', wallet.isSealed ? 'sealed with your passphrase' : 'in clear, not encrypted'],
    ]),
  )
}
