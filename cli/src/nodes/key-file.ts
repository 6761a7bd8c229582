import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { assert, bytesToHex, parseHex } from '@ioex/chain/bytes'
import writeFileAtomic from 'write-file-atomic'

/**
 * A 32-byte secret in a file that only its owner may read. The file is not encrypted: whoever
 * can read it can act for the node, so it belongs on a disk of yours.
 */
export async function readOrCreateKey(path: string): Promise<Uint8Array> {
  try {
    return await readKey(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const secret = new Uint8Array(randomBytes(32))
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFileAtomic(path, `${bytesToHex(secret)}\n`, { mode: 0o600 })
  return secret
}

export async function readKey(path: string): Promise<Uint8Array> {
  const text = (await readFile(path, 'utf8')).trim()
  const parsed = parseHex(text, 32)
  if (!parsed.ok || parsed.value.length !== 32) {
    throw new Error(`${path} is not a key file: expected 64 hex digits; restore it from a backup`)
  }
  assert(
    parsed.value.some((byte) => byte !== 0),
    'a key is never zero',
  )
  return parsed.value
}
