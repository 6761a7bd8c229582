import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { type Receipt, ReceiptType } from '../types/receipts.ts'
import { STATEMENT_SUMS, type StatementSums } from './audited-node.ts'

const RECEIPT_BYTES_MAX = 4096

/**
 * Whether a node lists exactly the receipts that the replay left, as far as the replay goes.
 * Faults with RECEIPT_MALFORMED, RECEIPT_OTHER or RECEIPTS_MISSING and the height as a fact.
 */
export async function compareReceipts(
  served: AsyncIterable<Uint8Array>,
  own: readonly Receipt[],
  lastHeight: number,
): Promise<Result<undefined>> {
  let index = 0
  for await (const bytes of served) {
    const decoded = decodeCanonical(ReceiptType, bytes, RECEIPT_BYTES_MAX)
    if (!decoded.ok) {
      return fault('RECEIPT_MALFORMED', `a served receipt cannot be read: ${decoded.fault.message}`)
    }
    const { height, index: position } = decoded.value
    if (height > lastHeight) break
    const expected = own[index++]
    if (expected && bytesEqual(ReceiptType.serialize(expected), bytes)) continue
    return fault(
      'RECEIPT_OTHER',
      `served receipt ${height}:${position} is not the one that executing the blocks leaves`,
      { height },
    )
  }
  const missing = own[index]
  if (!missing) return ok()
  return fault(
    'RECEIPTS_MISSING',
    `receipt ${missing.height}:${missing.index} and those after it are not served`,
    { height: missing.height },
  )
}

/** Whether a served statement has the sums that receipts give. */
export function compareStatement(served: StatementSums, own: StatementSums): Result<undefined> {
  for (const name of STATEMENT_SUMS) {
    if (served[name] === own[name]) continue
    return fault('STATEMENT_OTHER', `the served statement says ${name} ${served[name]}`, {
      name,
      served: served[name],
      recomputed: own[name],
    })
  }
  return ok()
}
