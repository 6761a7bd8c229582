import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  entryFileText,
  type EntryTerms,
  type SignedGenesisEntry,
  signGenesisEntry,
} from '@ioex/genesis/builder'
import writeFileAtomic from 'write-file-atomic'
import type { PassphraseSource } from '../keys/passphrase.ts'
import type { NodeKeyKind } from '../keys/plain-key.ts'
import { KeyFileError } from '../keys/sealed-secret.ts'
import { createKey, readKey } from '../nodes/key-file.ts'
import { createWallet, hasWallet, readWallet, type Wallet } from '../wallet/wallet-file.ts'

/** How the keys of a node are kept. */
export interface KeyKeeping {
  /** The node's folder. */
  readonly data: string
  /** Folder whose wallet is the owner; the node does not need it to run. */
  readonly walletData: string
  readonly passphrase: PassphraseSource
  /** False: new files are plain. */
  readonly isSealed: boolean
}

export const keyPath = (data: string, kind: NodeKeyKind) => join(data, 'keys', `${kind}.key`)
export const entryPath = (data: string) => join(data, 'genesis-entry.json')

/** A node's key, made on first use: asked again, the same key answers. */
export async function keyOf(keeping: KeyKeeping, kind: NodeKeyKind): Promise<Uint8Array> {
  const { data, passphrase, isSealed } = keeping
  const path = keyPath(data, kind)
  try {
    return await readKey(path, kind, passphrase)
  } catch (error) {
    if (!(error instanceof KeyFileError) || error.code !== 'KEY_FILE_MISSING') throw error
  }
  return createKey(path, kind, isSealed ? passphrase : undefined)
}

/** The owner's wallet, made on first use. */
export async function ownerOf({ walletData, passphrase, isSealed }: KeyKeeping): Promise<Wallet> {
  if (await hasWallet(walletData)) return readWallet(walletData, passphrase)
  return createWallet(walletData, isSealed ? passphrase : undefined)
}

/**
 * Makes what is missing of a validator's or bootstrap node's keys and signs its entry for a
 * genesis with all of them. Run again it gives the same entry.
 */
export async function writeEntry(
  keeping: KeyKeeping,
  role: 'validator' | 'bootstrap',
  terms: EntryTerms,
): Promise<SignedGenesisEntry> {
  const { owner } = await ownerOf(keeping)
  const node = await keyOf(keeping, 'node')
  const secrets = { owner: owner.secretKey, node }
  const signed = signGenesisEntry(
    role === 'bootstrap'
      ? secrets
      : {
          ...secrets,
          consensus: await keyOf(keeping, 'consensus'),
          mainChain: await keyOf(keeping, 'main-chain'),
        },
    terms,
  )
  await writeFileAtomic(entryPath(keeping.data), entryFileText(signed), { mode: 0o644 })
  return signed
}

/** Text of a small file that somebody else wrote. */
export async function readSmallText(path: string, maxBytes: number): Promise<string> {
  const text = await readFile(path, 'utf8')
  if (text.length > maxBytes) throw new Error(`${path} is too large to be what was asked for`)
  return text
}
