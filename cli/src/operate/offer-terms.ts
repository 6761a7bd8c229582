import { utf8ToBytes } from '@ioex/chain/bytes'
import { OFFER_REGION_BYTES_MAX, QUIET_HOURS } from '../nodes/node-config.ts'
import { parseByteSize } from '../output/byte-size.ts'
import { CommandError, EXIT_USAGE } from '../output/failure.ts'
import type { NodeFlags } from './node-flags.ts'

const ASN_MAX = 0xffff_ffff

/** What a peer's offer says beside its prices; a term that no flag names is left out. */
export interface OfferTerms {
  readonly bytesPerDay?: number
  readonly quietHours?: string
  readonly region?: string
  readonly asn?: number
}

/** The terms of the flags. Throws CommandError DAILY_TRAFFIC_INVALID and the like. */
export function offerTermsOf({ dailyTraffic, quietHours, region, asn }: NodeFlags): OfferTerms {
  return {
    ...(dailyTraffic !== undefined && { bytesPerDay: dailyBytes(dailyTraffic) }),
    ...(quietHours !== undefined && { quietHours: quietTime(quietHours) }),
    ...(region !== undefined && { region: regionTag(region) }),
    ...(asn !== undefined && { asn: networkNumber(asn) }),
  }
}

function dailyBytes(text: string): number {
  const bytes = parseByteSize(text)
  if (bytes.ok && bytes.value > 0) return bytes.value
  throw wrong('DAILY_TRAFFIC', `--daily-traffic "${text}": give a size such as 50GiB`)
}

function quietTime(text: string): string {
  const [from, to] = text.split('-')
  // Equal ends would read as "the whole day" and mean "never".
  if (QUIET_HOURS.test(text) && from !== to) return text
  throw wrong('QUIET_HOURS', `--quiet-hours "${text}": give two times in UTC such as 22:00-06:30`)
}

function regionTag(text: string): string {
  if (utf8ToBytes(text).length <= OFFER_REGION_BYTES_MAX) return text
  throw wrong('REGION', `--region "${text}": at most ${OFFER_REGION_BYTES_MAX} bytes of text`)
}

function networkNumber(asn: number): number {
  if (asn > 0 && asn <= ASN_MAX) return asn
  throw wrong('ASN', `--asn ${asn}: give the number of a network, from 1 to ${ASN_MAX}`)
}

function wrong(name: string, message: string): CommandError {
  return new CommandError(`${name}_INVALID`, message, EXIT_USAGE)
}
