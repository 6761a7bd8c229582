export type BlobErrorCode =
  | 'CAPACITY'
  | 'DISK_FULL'
  | 'DISK_UNAVAILABLE'
  | 'SLOT_UNKNOWN'
  | 'SLOT_BUSY'
  | 'SLOT_SIZE'
  | 'SLOT_DAMAGED'

/** Why the store of slots could not do as asked. */
export class BlobError extends Error {
  override name = 'BlobError'
  readonly code: BlobErrorCode
  constructor(code: BlobErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** Names a full disk as what it is; other disk errors stay what they are. */
export function diskError(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new BlobError('DISK_FULL', 'the disk is full: free space or lower the capacity', error)
}

/** What the system says of a file that is not there; a lost slot looks like this. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'EISDIR'])

/**
 * Whether the system refused for a reason that says nothing about the bytes: too many open files,
 * rights, a cable. What is stored may be whole, so nobody is to be told that it is lost.
 */
export function isPassing(error: unknown): boolean {
  if (error instanceof BlobError) return error.code === 'DISK_UNAVAILABLE'
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall !== undefined && code !== undefined && !GONE.has(code)
}

/** A passing error under its own name; anything else stays what it is. */
export function namedPassing(error: unknown, path: string): unknown {
  if (error instanceof BlobError || !isPassing(error)) return error
  const { code } = error as NodeJS.ErrnoException
  const advice = 'if it is gone for good, remove this folder and it counts as lost'
  return new BlobError('DISK_UNAVAILABLE', `${path} cannot be read now (${code}): ${advice}`, error)
}
