import { bytesToHex } from '@ioex/chain/bytes'
import { NONE, type Receipt, ReceiptBodyType, ReceiptKind, ReceiptType } from '@ioex/chain/types'
import type { ReceiptView } from './receipts-methods.ts'
import { sszToJson } from './ssz-json.ts'

const kindNames = Object.keys(ReceiptKind) as (keyof typeof ReceiptKind)[]

/** A receipt as callers read it. */
export function receiptToJson(receipt: Receipt, prefix: string): ReceiptView {
  const type = kindNames[receipt.body.selector]
  return {
    id: bytesToHex(ReceiptType.hashTreeRoot(receipt)),
    type: type as keyof typeof ReceiptKind,
    height: receipt.height,
    epoch: receipt.epoch,
    transaction: receipt.transaction === NONE ? null : receipt.transaction,
    index: receipt.index,
    body: sszToJson(ReceiptBodyType, receipt.body, prefix),
    ssz: bytesToHex(ReceiptType.serialize(receipt)),
  }
}
