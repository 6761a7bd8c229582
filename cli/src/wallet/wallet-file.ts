import { mkdir, open, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { CommandError } from '../output/failure.ts'
import {
  createSeedPhrase,
  isSeedPhrase,
  normaliseSeedPhrase,
  type OwnerKey,
  ownerKeyOf,
} from './owner-key.ts'

export interface Wallet {
  readonly path: string
  readonly phrase: string
  readonly owner: OwnerKey
}

const FileSchema = z.strictObject({
  format: z.literal('ioex-wallet/1'),
  phrase: z.string(),
})

export const walletPath = (data: string) => join(data, 'wallet', 'wallet.json')

/** Makes a wallet with new words; refuses to touch one that exists. */
export function createWallet(data: string): Promise<Wallet> {
  return writeWallet(data, createSeedPhrase())
}

/** Keeps words that the user brings; refuses to touch a wallet that exists. */
export async function importWallet(data: string, text: string): Promise<Wallet> {
  const phrase = normaliseSeedPhrase(text)
  if (!isSeedPhrase(phrase)) {
    throw new CommandError(
      'PHRASE_MALFORMED',
      'these are not 24 words of a seed phrase: check their spelling and order',
    )
  }
  return writeWallet(data, phrase)
}

/**
 * The file holds the words in clear, readable by its owner only. It is written whole or not at
 * all, and synced before anybody is told the address: money may be sent there at once.
 */
async function writeWallet(data: string, phrase: string): Promise<Wallet> {
  const path = walletPath(data)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const text = `${JSON.stringify({ format: 'ioex-wallet/1', phrase }, null, 2)}\n`
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new CommandError(
      'WALLET_EXISTS',
      `there is a wallet at ${path} already: move it away first, or choose another --data folder`,
    )
  }
  return { path, phrase, owner: ownerKeyOf(phrase) }
}

export async function hasWallet(data: string): Promise<boolean> {
  try {
    await stat(walletPath(data))
    return true
  } catch {
    return false
  }
}

export async function readWallet(data: string): Promise<Wallet> {
  const path = walletPath(data)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new CommandError(
      'WALLET_MISSING',
      `there is no wallet at ${path}: make one with "ioex wallet create", or name its --data folder`,
    )
  }
  const parsed = FileSchema.safeParse(parseJson(text))
  if (!parsed.success || !isSeedPhrase(parsed.data.phrase)) {
    throw new CommandError(
      'WALLET_DAMAGED',
      `${path} is damaged: restore it from a backup, or import the 24 words again`,
    )
  }
  const { phrase } = parsed.data
  return { path, phrase, owner: ownerKeyOf(phrase) }
}

/** The wallet of the folder, made on first use. */
export async function readOrCreateWallet(data: string): Promise<Wallet> {
  return (await hasWallet(data)) ? readWallet(data) : createWallet(data)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
