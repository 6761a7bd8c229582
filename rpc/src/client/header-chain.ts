import { bytesEqual, fault, ok, type Result } from '@ioex/chain/bytes'
import { checkFinality, type FinalHeader, type FinalityRules } from '@ioex/chain/light'
import { blockHash } from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import { decodeCertificate, decodeHeader } from './certified-head.ts'

export type HeaderEntry = ResultOf<'chain_getCertifiedHeaders'>['headers'][number]

export interface CheckedRun {
  /** Consecutive headers, each the parent of the next. */
  readonly headers: readonly FinalHeader[]
  /** How many of them, from the first on, are final. */
  readonly finalCount: number
}

/**
 * Checks an untrusted run of headers that starts at height `from`: consecutive, linked by hash,
 * final up to the newest valid certificate. One certificate proves all before it, so only the
 * newest is verified. `rulesOf` judges headers of an epoch.
 */
export function checkRun(
  entries: readonly HeaderEntry[],
  from: number,
  rulesOf: (epoch: number) => FinalityRules | undefined,
): Result<CheckedRun> {
  const headers: FinalHeader[] = []
  for (const entry of entries) {
    const decoded = decodeHeader(entry.header)
    if (!decoded.ok) return decoded
    const header = decoded.value
    if (header.height !== from + headers.length) {
      return fault('HEADERS_GAP', `expected height ${from + headers.length}`)
    }
    const parent = headers.at(-1)
    if (parent && !bytesEqual(header.parentHash, parent.hash)) {
      return fault('HEADERS_UNLINKED', `header ${header.height} has another parent`)
    }
    headers.push({ header, hash: blockHash(header) })
  }
  for (let i = entries.length - 1; i >= 0; i--) {
    const hex = entries[i]?.certificate
    if (typeof hex !== 'string') continue
    const certificate = decodeCertificate(hex)
    if (!certificate.ok) return certificate
    const { header } = headers[i] as FinalHeader
    const rules = rulesOf(header.epoch)
    if (!rules) return fault('EPOCH_UNKNOWN', `the validators of epoch ${header.epoch} are unknown`)
    const final = checkFinality(header, certificate.value, rules)
    return final.ok ? ok({ headers, finalCount: i + 1 }) : final
  }
  return ok({ headers, finalCount: 0 })
}
