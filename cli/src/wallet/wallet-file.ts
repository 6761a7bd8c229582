import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, bytesToHex, fromHex, utf8ToBytes } from '@ioex/chain/bytes'
import { z } from 'zod'
import { writeNewSecretFile } from '../keys/new-file.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import {
  isSealed,
  KeyFileError,
  openSecret,
  sealedInfo,
  sealSecret,
} from '../keys/sealed-secret.ts'
import { CommandError } from '../output/failure.ts'
import {
  createSeedPhrase,
  isSeedPhrase,
  normaliseSeedPhrase,
  type OwnerKey,
  ownerKeyOf,
} from './owner-key.ts'

/** What a wallet file tells without its passphrase. */
export interface WalletFace {
  readonly path: string
  readonly address: Uint8Array
  /** False for words in clear. */
  readonly isSealed: boolean
}

export interface Wallet extends WalletFace {
  readonly phrase: string
  readonly owner: OwnerKey
}

const FileSchema = z.strictObject({
  format: z.literal('ioex-wallet/1'),
  phrase: z.string(),
})

const walletPath = (data: string) => join(data, 'wallet', 'wallet.json')

/**
 * Makes a wallet with new words, sealed, or in clear where `passphrase` is undefined; refuses to
 * touch one that exists.
 */
export function createWallet(data: string, passphrase?: PassphraseSource): Promise<Wallet> {
  return writeWallet(data, createSeedPhrase(), passphrase)
}

/** Keeps words that the user brings; refuses to touch a wallet that exists. */
export async function importWallet(
  data: string,
  text: string,
  passphrase?: PassphraseSource,
): Promise<Wallet> {
  const phrase = normaliseSeedPhrase(text)
  if (!isSeedPhrase(phrase)) {
    throw new CommandError(
      'PHRASE_MALFORMED',
      'these are not 24 words of a seed phrase: check their spelling and order',
    )
  }
  return writeWallet(data, phrase, passphrase)
}

/**
 * The file is readable by its owner only, written whole or not at all, and synced before anybody
 * is told the address: money may be sent there at once.
 */
async function writeWallet(
  data: string,
  phrase: string,
  passphrase: PassphraseSource | undefined,
): Promise<Wallet> {
  const path = walletPath(data)
  if (await hasWallet(data)) throw walletExists(path)
  const owner = ownerKeyOf(phrase)
  try {
    await writeNewSecretFile(path, await walletText(phrase, owner, passphrase))
  } catch (error) {
    const taken = error instanceof KeyFileError && error.code === 'KEY_FILE_EXISTS'
    throw taken ? walletExists(path) : error
  }
  return { path, phrase, owner, address: owner.address, isSealed: passphrase !== undefined }
}

function walletExists(path: string): CommandError {
  return new CommandError(
    'WALLET_EXISTS',
    `there is a wallet at ${path} already: move it away first, or choose another --data folder`,
  )
}

async function walletText(
  phrase: string,
  owner: OwnerKey,
  passphrase: PassphraseSource | undefined,
): Promise<string> {
  if (!passphrase) return `${JSON.stringify({ format: 'ioex-wallet/1', phrase }, null, 2)}\n`
  const info = { kind: 'wallet', publicKey: bytesToHex(owner.publicKey) } as const
  return sealSecret(utf8ToBytes(phrase), info, await passphrase.toSeal())
}

export async function hasWallet(data: string): Promise<boolean> {
  try {
    await stat(walletPath(data))
    return true
  } catch {
    return false
  }
}

/** The wallet with its words; asks for the passphrase of a sealed one. */
export async function readWallet(data: string, passphrase?: PassphraseSource): Promise<Wallet> {
  const path = walletPath(data)
  const text = await readText(path)
  if (!isSealed(text)) return { ...openPhrase(path, plainPhrase(text)), isSealed: false }
  if (!passphrase) {
    throw new KeyFileError('PASSPHRASE_MISSING', `${path} is sealed: give its passphrase`)
  }
  const words = await openSecret(text, 'wallet', await passphrase.toOpen(path), path)
  return { ...openPhrase(path, new TextDecoder().decode(words)), isSealed: true }
}

/** Its address, without any passphrase. */
export async function readWalletFace(data: string): Promise<WalletFace> {
  const path = walletPath(data)
  const text = await readText(path)
  if (!isSealed(text)) return { ...openPhrase(path, plainPhrase(text)), isSealed: false }
  const { publicKey } = sealedInfo(text, path)
  return { path, address: addressOf(fromHex(publicKey)), isSealed: true }
}

/** The address of the folder's wallet; one in clear is made on first use. */
export async function walletAddressOf(data: string): Promise<Uint8Array> {
  return ((await hasWallet(data)) ? await readWalletFace(data) : await createWallet(data)).address
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new CommandError(
      'WALLET_MISSING',
      `there is no wallet at ${path}: make one with "ioex wallet create", or name its --data folder`,
    )
  }
}

function plainPhrase(text: string): string | undefined {
  const parsed = FileSchema.safeParse(parseJson(text))
  return parsed.success ? parsed.data.phrase : undefined
}

function openPhrase(path: string, phrase: string | undefined) {
  if (phrase === undefined || !isSeedPhrase(phrase)) {
    throw new CommandError(
      'WALLET_DAMAGED',
      `${path} is damaged: restore it from a backup, or import the 24 words again`,
    )
  }
  const owner = ownerKeyOf(phrase)
  return { path, phrase, owner, address: owner.address }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
