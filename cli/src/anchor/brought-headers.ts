import { type DecodedHeader, decodeHeaderWithAuxPow } from '@ioex/chain/elastos'
import { PayloadKind, type Transaction } from '@ioex/chain/types'

/** The main headers that a side block's transactions brought to this chain, in order. */
export function* broughtHeaders(transactions: readonly Transaction[]): Generator<DecodedHeader> {
  for (const { body } of transactions) {
    if (body.payload.selector !== PayloadKind.mainHeaders) continue
    for (const raw of body.payload.value.headers) {
      const decoded = decodeHeaderWithAuxPow(raw)
      if (decoded.ok && decoded.value.length === raw.length) yield decoded.value
    }
  }
}
