import { access, link, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import { syncFolder } from '../keys/new-file.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { isSealed as isSealedText } from '../keys/sealed-secret.ts'
import { createKey, readKey } from '../nodes/key-file.ts'
import { keyPath } from './node-keys.ts'

/** Keys that the chain lets take the place of a former one. */
export type RotatedKind = 'node' | 'consensus'

/** The key that is to take another's place, from its making until it is that key. */
export const nextKeyPath = (data: string, kind: RotatedKind) =>
  join(data, 'keys', `${kind}-next.key`)
const FORMER = {
  node: /^node-former-(\d{1,4})\.key$/,
  consensus: /^consensus-former-(\d{1,4})\.key$/,
}

/**
 * The next key, made on first use and sealed as the old one is: after an interruption the same
 * one goes on.
 */
export async function nextKey(
  data: string,
  kind: RotatedKind,
  passphrase: PassphraseSource,
): Promise<Uint8Array> {
  const path = nextKeyPath(data, kind)
  if (await exists(path)) return readKey(path, kind, passphrase)
  const current = keyPath(data, kind)
  // Without a key of its own the folder is no node's: reading it says what to do.
  await readKey(current, kind, passphrase)
  const isSealed = isSealedText(await readFile(current, 'utf8'))
  return createKey(path, kind, isSealed ? passphrase : undefined)
}

/** True where an earlier swap was interrupted between its steps, or before the chain answered. */
export const hasNextKey = (data: string, kind: RotatedKind) => exists(nextKeyPath(data, kind))

/**
 * KIND-next.key becomes KIND.key, and what was KIND.key is kept as KIND-former-N.key: only a former
 * node key can redeem what is still due to it. Each step is durable; called again it goes on.
 */
export async function swapKey(data: string, kind: RotatedKind): Promise<void> {
  const current = keyPath(data, kind)
  if (await exists(current)) {
    const numbers = (await formerNames(data, kind)).map((name) => numberOf(name, kind))
    const former = join(data, 'keys', `${kind}-former-${Math.max(0, ...numbers) + 1}.key`)
    await link(current, former)
    await syncFolder(dirname(current))
  }
  await rename(nextKeyPath(data, kind), current)
  await syncFolder(dirname(current))
}

/** Keys that this folder's node had before, oldest first. */
export async function formerNodeKeys(
  data: string,
  passphrase: PassphraseSource,
): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = []
  const seen = new Set<string>()
  for (const name of await formerNames(data, 'node')) {
    const key = await readKey(join(data, 'keys', name), 'node', passphrase)
    const publicKey = bytesToHex(publicKeyOf(key))
    // A swap that was interrupted after its first step leaves two names of one key.
    if (!seen.has(publicKey)) keys.push(key)
    seen.add(publicKey)
  }
  return keys
}

async function formerNames(data: string, kind: RotatedKind): Promise<string[]> {
  const names = await readdir(join(data, 'keys')).catch(() => [])
  return names
    .filter((name) => FORMER[kind].test(name))
    .sort((a, b) => numberOf(a, kind) - numberOf(b, kind))
}

const numberOf = (name: string, kind: RotatedKind) => Number(FORMER[kind].exec(name)?.[1])

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
