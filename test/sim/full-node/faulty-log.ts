import { appendFileSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { WriteAheadLog } from '../../../chain/src/driver/write-ahead-log.ts'
import type { Random } from '../random.ts'

/** Bytes of each log segment that a disk has for sure, by its path. */
const syncedBytes = new Map<string, number>()
let isWatched = false
let areLost = false

/** From now on it is known of every production log how much of it was synced. */
export function watchLogs(): void {
  if (isWatched) return
  isWatched = true
  const { append, sync } = WriteAheadLog.prototype
  WriteAheadLog.prototype.append = function (entry) {
    // A new segment is synced whole before it gets its name.
    if (!syncedBytes.has(this.path)) syncedBytes.set(this.path, this.bytes)
    return append.call(this, entry)
  }
  WriteAheadLog.prototype.sync = async function () {
    const { path, bytes } = this
    await sync.call(this)
    if (!areLost) syncedBytes.set(path, bytes)
  }
}

/** A disk that says it has synced and has not: what the checks must find out. */
export function loseSyncs(lose: boolean): void {
  areLost = lose
}

/**
 * What a power cut does to a log that nobody has open: of the bytes that were not synced any number
 * is gone, or is there as zeros. Gives how many.
 */
export function tearLog(directory: string, random: Random): number {
  const newest = readdirSync(directory)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .at(-1)
  if (newest === undefined) return 0
  const path = join(directory, newest)
  const { size } = statSync(path)
  const kept = random.between(Math.min(size, syncedBytes.get(path) ?? size), size)
  const areZeros = random.chance(0.3)
  truncateSync(path, kept)
  if (areZeros) appendFileSync(path, new Uint8Array(size - kept))
  return size - kept
}

/** All of a log is gone, as from a backup that left it out. */
export function loseLog(directory: string): void {
  forgetLogs(directory)
  rmSync(directory, { recursive: true, force: true })
}

/** Paths of a history that is over. */
export function forgetLogs(folder: string): void {
  for (const path of syncedBytes.keys()) {
    if (path.startsWith(folder)) syncedBytes.delete(path)
  }
}
