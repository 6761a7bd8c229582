import { bech32m } from '@scure/base'
import { fault, ok, type Result } from './result.ts'
import { ADDRESS_BYTES } from './signature.ts'

/** bech32m text of a 20-byte address, e.g. ioex1q…; the prefix names the network. */
export function formatAddress(address: Uint8Array, prefix: string): string {
  return bech32m.encode(prefix, bech32m.toWords(address))
}

/** Parses untrusted address text of the given network. */
export function parseAddress(text: string, prefix: string): Result<Uint8Array> {
  if (text.length > 90 || !text.includes('1')) {
    return fault('ADDRESS_MALFORMED', `not an address: expected ${prefix}1…`)
  }
  try {
    const decoded = bech32m.decodeUnsafe(text)
    if (!decoded) return fault('ADDRESS_MALFORMED', `not an address: expected ${prefix}1…`)
    if (decoded.prefix !== prefix) {
      return fault('ADDRESS_NETWORK', `address of network "${decoded.prefix}", not "${prefix}"`)
    }
    const bytes = bech32m.fromWords(decoded.words)
    if (bytes.length !== ADDRESS_BYTES) {
      return fault('ADDRESS_MALFORMED', `an address has ${ADDRESS_BYTES} bytes`)
    }
    return ok(bytes)
  } catch {
    return fault('ADDRESS_MALFORMED', `not an address: check it for typing errors`)
  }
}
