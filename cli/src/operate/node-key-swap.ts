import { access, link, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { isSealed as isSealedText } from '../keys/sealed-secret.ts'
import { createKey, readKey } from '../nodes/key-file.ts'
import { keyPath } from './node-keys.ts'

/** The key that is to take a node key's place, from its making until the chain has it. */
const nextKeyPath = (data: string) => join(data, 'keys', 'node-next.key')
const FORMER = /^node-former-(\d{1,4})\.key$/

/**
 * The next node key, made on first use and sealed as the old one is: after an interruption the same
 * one goes on.
 */
export async function nextNodeKey(data: string, passphrase: PassphraseSource): Promise<Uint8Array> {
  const path = nextKeyPath(data)
  if (await exists(path)) return readKey(path, 'node', passphrase)
  const current = keyPath(data, 'node')
  // Without a key of its own the folder is no node's: reading it says what to do.
  await readKey(current, 'node', passphrase)
  const isSealed = isSealedText(await readFile(current, 'utf8'))
  return createKey(path, 'node', isSealed ? passphrase : undefined)
}

/** True where an earlier swap was interrupted between its steps, or before the chain answered. */
export const hasNextNodeKey = (data: string) => exists(nextKeyPath(data))

/**
 * node-next.key becomes node.key, and what was node.key is kept as node-former-N.key, since only it
 * can redeem what is still due to it. Each step is durable; called again it goes on.
 */
export async function swapNodeKey(data: string): Promise<void> {
  const current = keyPath(data, 'node')
  if (await exists(current)) {
    const numbers = (await formerNames(data)).map((name) => Number(FORMER.exec(name)?.[1]))
    const former = join(data, 'keys', `node-former-${Math.max(0, ...numbers) + 1}.key`)
    await link(current, former)
    await rm(current)
    await syncFolder(dirname(current))
  }
  await rename(nextKeyPath(data), current)
  await syncFolder(dirname(current))
}

/** Keys that this folder's node had before, oldest first. */
export async function formerNodeKeys(
  data: string,
  passphrase: PassphraseSource,
): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = []
  const seen = new Set<string>()
  for (const name of await formerNames(data)) {
    const key = await readKey(join(data, 'keys', name), 'node', passphrase)
    const publicKey = bytesToHex(publicKeyOf(key))
    // A swap that was interrupted after its first step leaves two names of one key.
    if (!seen.has(publicKey)) keys.push(key)
    seen.add(publicKey)
  }
  return keys
}

async function formerNames(data: string): Promise<string[]> {
  const names = await readdir(join(data, 'keys')).catch(() => [])
  const numberOf = (name: string) => Number(FORMER.exec(name)?.[1])
  return names.filter((name) => FORMER.test(name)).sort((a, b) => numberOf(a) - numberOf(b))
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
