import { fault, ok, type Result } from '@ioex/chain/bytes'
import parse from 'parse-duration'
import prettyMs from 'pretty-ms'

const UNITS = String.raw`(ms|s|sec|m|min|h|hours?|d|days?|w|weeks?|mo|months?|y|years?)`
const DURATION = new RegExp(String.raw`^([0-9]+(\.[0-9]+)? *${UNITS} *)+$`, 'i')

/** Milliseconds of a duration such as "30d" or "1h 30m"; the unit must be given. */
export function parseDuration(text: string): Result<number> {
  const ms = DURATION.test(text.trim()) ? parse(text.trim()) : null
  if (ms === null || !Number.isSafeInteger(Math.round(ms))) {
    return fault('DURATION_MALFORMED', `"${text}" is not a duration: give one such as 30d or 12h`)
  }
  return ok(Math.round(ms))
}

export function formatDuration(ms: number): string {
  return prettyMs(ms, { unitCount: 2 })
}
