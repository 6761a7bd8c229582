import { randomFillSync } from 'node:crypto'
import { rmSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Enough to stop in order and to start again: log, database and their compaction. */
export const RESERVE_BYTES = 64 * 1024 * 1024
const PIECE_BYTES = 1024 * 1024

/** The disk has no room left; the message says how much to free. */
export class DiskFullError extends Error {
  override name = 'DiskFullError'
}

/**
 * A file that keeps room on the disk. While it is there, a write that fails for want of room can be
 * answered by an orderly stop: the file goes, and what has to be written at the next start fits.
 */
export class DiskReserve {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /** Takes the room if it is not taken yet. Throws DiskFullError where there is none. */
  static async hold(directory: string, bytes: number): Promise<DiskReserve> {
    const path = join(directory, 'reserve')
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    )
    if (size >= bytes) return new DiskReserve(path)
    try {
      await fill(path, bytes)
    } catch (error) {
      rmSync(path, { force: true })
      throw orDiskFull(error, directory, bytes)
    }
    return new DiskReserve(path)
  }

  /** Gives the room back, at once: the process may end right after. */
  release(): void {
    rmSync(this.#path, { force: true })
  }
}

/** With random bytes: a file system that compresses would reserve nothing for zeros. */
async function fill(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    const piece = randomFillSync(new Uint8Array(Math.min(bytes, PIECE_BYTES)))
    for (let written = 0; written < bytes; ) {
      const rest = piece.subarray(0, Math.min(piece.length, bytes - written))
      written += (await file.write(rest)).bytesWritten
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * What a start that failed in a directory says where it failed for want of room: with a full disk
 * nothing is damaged, whatever a database makes of it. Any other error stays as it is.
 */
export function orDiskFull(error: unknown, directory: string, bytes = RESERVE_BYTES): unknown {
  if (!isDiskFull(error)) return error
  const mebibytes = Math.ceil(bytes / PIECE_BYTES)
  return new DiskFullError(
    `the disk of ${directory} is full: free at least ${2 * mebibytes} MiB, then start again. ` +
      'Nothing was signed or lost.',
    { cause: error },
  )
}

/** Whether a write failed for want of room or quota, in files or in LevelDB. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') return true
    if (/no space left on device|disk quota exceeded/i.test(at.message)) return true
  }
  return false
}
