export type BlobErrorCode =
  | 'CAPACITY'
  | 'DISK_FULL'
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
