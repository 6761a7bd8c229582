import { readFile, rm, writeFile } from 'node:fs/promises'

/** Another running process holds the folder. */
export class FolderInUseError extends Error {
  override name = 'FolderInUseError'
}

export interface FolderLock {
  release(): Promise<void>
}

const heldHere = new Set<string>()

/**
 * Claims a data folder by a file with our process id. Unlike a lock that must be refreshed, it
 * needs no timer, and after a kill -9 the next start takes over at once, because the process
 * named in it no longer runs.
 */
export async function lockFolder(path: string): Promise<FolderLock> {
  if (heldHere.has(path)) throw new FolderInUseError(`${path} is held by this very process`)
  heldHere.add(path)
  try {
    for (let attempt = 0; !(await tryCreate(path)); attempt++) {
      const owner = Number(await readFile(path, 'utf8').catch(() => ''))
      if (attempt > 3 || (owner !== process.pid && isRunning(owner))) {
        throw new FolderInUseError(
          `another process (${owner}) uses this folder; stop it, or remove ${path} if it is gone`,
        )
      }
      await rm(path, { force: true })
    }
  } catch (error) {
    heldHere.delete(path)
    throw error
  }
  return {
    async release() {
      heldHere.delete(path)
      await rm(path, { force: true })
    },
  }
}

async function tryCreate(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
