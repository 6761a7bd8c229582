import { rm } from 'node:fs/promises'
import type { Logger } from 'pino'
import { isDiskFull } from '../driver/disk-reserve.ts'
import { SnapshotDatabase } from '../store/snapshot-database.ts'

/** The folder of snapshots can be neither read nor made anew; the message says what to do. */
export class ShelfError extends Error {
  override name = 'ShelfError'
}

/**
 * Opens the folder of snapshots, and makes it anew where it is damaged: peers have what was fetched
 * there, the chain has what was made there. Throws what a full disk makes LevelDB say, ShelfError
 * where another process has the folder or it cannot be removed.
 */
export async function openShelf(folder: string, logger: Logger): Promise<SnapshotDatabase> {
  try {
    return await SnapshotDatabase.open(folder)
  } catch (error) {
    // With a full disk nothing is damaged, whatever LevelDB makes of it.
    if (isDiskFull(error)) throw error
    const cause = causeOf(error)
    if (cause.code === 'LEVEL_LOCKED') {
      throw new ShelfError(`${folder} is in use by another process: stop that node first`)
    }
    logger.warn(
      { folder, reason: cause.message },
      'the folder of snapshots is damaged and was removed: nothing is lost. A join starts its ' +
        'download again; peers are served from the next epoch on',
    )
    return await madeAnew(folder)
  }
}

async function madeAnew(folder: string): Promise<SnapshotDatabase> {
  try {
    await rm(folder, { recursive: true, force: true })
    return await SnapshotDatabase.open(folder)
  } catch (error) {
    if (isDiskFull(error)) throw error
    throw new ShelfError(
      `${folder} is damaged and cannot be made anew (${causeOf(error).message}): remove it and ` +
        'start again; it holds nothing that the node cannot make or fetch',
      { cause: error },
    )
  }
}

/** abstract-level says only that opening failed; the cause says why. */
function causeOf(error: unknown): NodeJS.ErrnoException {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause : new Error(String(cause))
}
