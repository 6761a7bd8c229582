import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { bytesToHex } from '@ioex/chain/bytes'
import { Bytes32, U8, U32, Units64 } from '@ioex/chain/types'

/** Which slot: unique as long as the chain gives no contract index and salt twice. */
export interface SlotName {
  readonly contract: number
  /** The contract's salt, 32 bytes. */
  readonly salt: Uint8Array
  readonly slot: number
}

/** What stands beside a slot's bytes on disk. */
export const SlotRecordType = new ContainerType(
  {
    contract: U32,
    salt: Bytes32,
    slot: U8,
    root: Bytes32,
    /** Leaves of 256 B. */
    leaves: U32,
    /** Rail that pays for it; NONE until the fill is final. */
    rail: U32,
    generation: U32,
    /** Units per GiB-epoch and per GiB moved, as granted; 0 before. */
    price: Units64,
    unitPrice: Units64,
    /** Epoch in which its last byte came. */
    receivedEpoch: U32,
    /** First epoch in which its rail was gone or over; NONE while it runs. */
    endedEpoch: U32,
  },
  { typeName: 'SlotRecord' },
)
export type SlotRecord = ValueOf<typeof SlotRecordType>

/** Name of the slot's folder, and its key in maps. */
export function slotKey({ contract, salt, slot }: SlotName): string {
  return `${contract}-${bytesToHex(salt).slice(0, 32)}-${slot}`
}
