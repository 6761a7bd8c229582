import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Reads the access token, or makes one in a file that only its owner may read. Whoever can read
 * the file may use the methods that move money or show private files.
 */
export async function readOrCreateToken(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    const file = await open(path, 'wx', 0o600)
    const token = randomBytes(32).toString('hex')
    try {
      await file.writeFile(`${token}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    return token
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const token = (await readFile(path, 'utf8')).trim()
  if (!/^[0-9a-zA-Z_-]{32,128}$/.test(token)) {
    throw new Error(
      `${path} does not hold an access token: delete it, and the node makes a new one`,
    )
  }
  return token
}

export type Bearer = 'none' | 'right' | 'wrong'

/** Compares an Authorization header with the token in constant time. */
export function checkBearer(header: string | undefined, token: string | undefined): Bearer {
  if (header === undefined) return 'none'
  const given = /^Bearer +(\S{1,256})$/i.exec(header)?.[1]
  if (given === undefined || token === undefined) return 'wrong'
  return timingSafeEqual(digest(given), digest(token)) ? 'right' : 'wrong'
}

const digest = (text: string) => createHash('sha256').update(text).digest()
