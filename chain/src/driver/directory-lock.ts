import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'

/** Another running process uses the directory. */
export class DirectoryInUseError extends Error {
  override name = 'DirectoryInUseError'
}

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Claims a directory for this process by a lock of the operating system, which ends with the
 * process however that ends. Node has no call for one; an empty LevelDB takes it (fcntl or
 * LockFileEx on its LOCK file) and holds nothing else. Throws DirectoryInUseError.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, 'lock')
  const db = await opened(path).catch(async (error: unknown) => {
    if (isLocked(error)) {
      throw new DirectoryInUseError(
        `${directory} is in use by another process: one validator key signs in one process only. ` +
          'Stop that process first.',
      )
    }
    // Its content is worth nothing: a damaged one is made anew.
    await rm(path, { recursive: true, force: true })
    return opened(path)
  })
  return { release: () => db.close() }
}

async function opened(path: string): Promise<ClassicLevel> {
  const db = new ClassicLevel(path)
  await db.open()
  return db
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return (cause as NodeJS.ErrnoException).code === 'LEVEL_LOCKED'
}
