import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { bytesEqual, concatBytes } from '../bytes/hex.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import { decodeTransaction } from '../elastos/transaction.ts'

/** Prefixes that are hashed before others get their turn. */
const PREFIXES_AT_ONCE = 4096
/** An empty list of programs. */
const NO_PROGRAMS = Uint8Array.of(0)

/**
 * Whether these bytes are the transaction with this id and it is one that our codec cannot read,
 * e.g. of a type that a later main node brought. The id covers what stands before the programs,
 * so a prefix of the bytes must hash to it, and that prefix itself must be what we cannot read:
 * otherwise a node could hide a deposit by giving it with damaged bytes.
 */
export async function isForeignTransaction(raw: Uint8Array, id: InternalHash): Promise<boolean> {
  const running = createHash('sha256')
  for (let length = 1; length <= raw.length; length++) {
    running.update(raw.subarray(length - 1, length))
    const once = running.copy().digest()
    if (bytesEqual(createHash('sha256').update(once).digest(), id)) {
      return !decodeTransaction(concatBytes(raw.subarray(0, length), NO_PROGRAMS)).ok
    }
    if (length % PREFIXES_AT_ONCE === 0) await setImmediate()
  }
  return false
}
