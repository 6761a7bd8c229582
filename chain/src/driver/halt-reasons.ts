import type { HaltReason } from './block-host.ts'
import { isDiskFull } from './disk-reserve.ts'

export const TWIN: HaltReason = {
  code: 'DOPPELGANGER',
  message: 'a vote of our own key arrived that this node did not sign: another one runs',
}

/** No reason to halt: the node follows, and votes again when nothing can contradict it. */
export const HISTORY_TOO_OLD =
  'this key signed what is not in this folder: a backup was put back, or a copy ran elsewhere. ' +
  'No vote in this epoch and the next one'

/** The same failure, or what lies behind it where that is a full disk. */
export function withDiskFull(failure: HaltReason): HaltReason {
  const { cause } = failure
  if (!isDiskFull(cause)) return failure
  const message = 'the disk is full: consensus stopped before a vote; free space, then start again'
  return { code: 'DISK_FULL', message, cause }
}
