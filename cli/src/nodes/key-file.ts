import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import writeFileAtomic from 'write-file-atomic'
import { writeNewSecretFile } from '../keys/new-file.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import {
  type NodeKeyKind,
  parsePlainKey,
  plainKeyText,
  publicKeyOfKind,
} from '../keys/plain-key.ts'
import { isSealed, KeyFileError, openSecret, sealSecret } from '../keys/sealed-secret.ts'

/**
 * A 32-byte secret in a plain file that only its owner may read, made where it is missing: for
 * networks that live on one machine. Whoever can read the file can act for the node. `kind` is that
 * of a new key; a file that is there may hold any.
 */
export async function readOrCreateKey(
  path: string,
  kind: NodeKeyKind = 'node',
): Promise<Uint8Array> {
  try {
    return await readPlainKey(path)
  } catch (error) {
    if (!(error instanceof KeyFileError) || error.code !== 'KEY_FILE_MISSING') throw error
  }
  const secret = new Uint8Array(randomBytes(32))
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFileAtomic(path, plainKeyText(secret, kind), { mode: 0o600 })
  return secret
}

/** A new key in a new file: sealed, or plain where `passphrase` is undefined. */
export async function createKey(
  path: string,
  kind: NodeKeyKind,
  passphrase: PassphraseSource | undefined,
): Promise<Uint8Array> {
  const secret = new Uint8Array(randomBytes(32))
  await writeNewSecretFile(path, await keyText(secret, kind, passphrase))
  return secret
}

async function keyText(
  secret: Uint8Array,
  kind: NodeKeyKind,
  passphrase: PassphraseSource | undefined,
): Promise<string> {
  if (!passphrase) return plainKeyText(secret, kind)
  const publicKey = bytesToHex(publicKeyOfKind(secret, kind))
  return sealSecret(secret, { kind, publicKey }, await passphrase.toSeal())
}

/** A key from a sealed or a plain file; asks for the passphrase only where it is needed. */
export async function readKey(
  path: string,
  kind: NodeKeyKind,
  passphrase: PassphraseSource,
): Promise<Uint8Array> {
  const text = await readText(path)
  if (!isSealed(text)) return parsePlainKey(text, path, kind)
  const secret = await openSecret(text, kind, await passphrase.toOpen(path), path)
  if (secret.length !== 32) {
    throw new KeyFileError('KEY_FILE_DAMAGED', `${path} holds no 32-byte key`)
  }
  return new Uint8Array(secret)
}

async function readPlainKey(path: string): Promise<Uint8Array> {
  return parsePlainKey(await readText(path), path, undefined)
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new KeyFileError(
      'KEY_FILE_MISSING',
      `there is no key file at ${path}: name the right --data folder, or restore it from a backup`,
    )
  }
}
