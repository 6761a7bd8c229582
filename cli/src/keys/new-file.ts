import { link, mkdir, open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { KeyFileError } from './sealed-secret.ts'

/**
 * Writes a file that only its owner may read, whole or not at all and synced, and never over one
 * that exists (KEY_FILE_EXISTS): the old one may be the only copy of a key.
 */
export async function writeNewSecretFile(path: string, text: string): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    // Unlike a rename, a link fails where the name is taken.
    await link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new KeyFileError('KEY_FILE_EXISTS', `${path} exists already: move it away first`)
  } finally {
    await rm(draft, { force: true })
  }
  await syncFolder(folder)
}

/** Makes new and changed names in a folder last. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
