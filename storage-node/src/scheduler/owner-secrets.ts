import { hkdfSync, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DEVICE_ID_BYTES } from '../manifest/manifest.ts'
import { writeSynced } from '../blobs/slot-files.ts'

/**
 * The master secret behind all keys of an owner's packs: follows from the owner key alone, so
 * that whoever restores the seed phrase finds every file again (PROTOCOL 5.5).
 */
export function masterSecret(ownerKey: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', ownerKey, '', 'ioex/v1/storage-master', 32))
}

/** The random name of this device among the owner's, kept in its folder. */
export async function deviceId(dataDir: string): Promise<Uint8Array> {
  const path = join(dataDir, 'device')
  try {
    const id = new Uint8Array(await readFile(path))
    if (id.length === DEVICE_ID_BYTES) return id
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const id = new Uint8Array(randomBytes(DEVICE_ID_BYTES))
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeSynced(path, id)
  return id
}
