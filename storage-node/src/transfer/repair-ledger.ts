import { ClassicLevel } from 'classic-level'
import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { Count64, type SignedRepairVoucher, SignedRepairVoucherType } from '@ioex/chain/types'
import type { RepairedFrom } from './repair-payer.ts'

const EntryType = new ContainerType({
  /** Bytes served for this refill from this rail. */
  usedBytes: Count64,
  newest: new ListCompositeType(SignedRepairVoucherType, 1),
})
export type RepairEntry = ValueOf<typeof EntryType>

/**
 * The newest repair voucher of every rail and refill, on disk: synced before anything more is
 * served for it. Entries leave when they are redeemed or their slot is open no more.
 */
export class RepairLedger {
  readonly #db: ClassicLevel<string, Uint8Array>

  constructor(db: ClassicLevel<string, Uint8Array>) {
    this.#db = db
  }

  async get(place: RepairedFrom): Promise<RepairEntry | undefined> {
    const bytes = await this.#db.get(keyOf(place))
    return bytes && EntryType.deserialize(Uint8Array.from(bytes))
  }

  async put(place: RepairedFrom, entry: RepairEntry): Promise<void> {
    await this.#db.put(keyOf(place), EntryType.serialize(entry), { sync: true })
  }

  /** Every voucher that is kept. */
  async vouchers(): Promise<SignedRepairVoucher[]> {
    const found: SignedRepairVoucher[] = []
    for await (const bytes of this.#db.values()) {
      found.push(...EntryType.deserialize(Uint8Array.from(bytes)).newest)
    }
    return found
  }

  async delete(place: RepairedFrom): Promise<void> {
    await this.#db.del(keyOf(place))
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}

/** Opens the ledger in a folder of its own. */
export async function openRepairLedger(folder: string): Promise<RepairLedger> {
  const db = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' })
  await db.open()
  return new RepairLedger(db)
}

export function keyOf({ contract, generation, slot, refill, rail }: RepairedFrom): string {
  return [contract, generation, slot, refill, rail].join('-')
}
