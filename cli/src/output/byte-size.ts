import type { Result } from '@ioex/chain/bytes'
import bytes from 'bytes-iec'
import prettyBytes from 'pretty-bytes'

/** Bytes of a size such as "10GiB" (binary) or "500 MB" (decimal). */
export function parseByteSize(text: string): Result<number> {
  const size = /^[0-9]+(\.[0-9]+)? *(([kmgtp]i?)?b)?$/i.test(text.trim())
    ? bytes.parse(text.trim(), { mode: 'metric' })
    : null
  if (size === null || !Number.isSafeInteger(Math.round(size))) {
    const message = `"${text}" is not a size: give one such as 10GiB or 500MB`
    return { ok: false, fault: { code: 'SIZE_MALFORMED', message } }
  }
  return { ok: true, value: Math.round(size) }
}

export function formatByteSize(size: number | bigint): string {
  return prettyBytes(size, { binary: true })
}
