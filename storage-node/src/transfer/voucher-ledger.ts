import { ClassicLevel } from 'classic-level'
import { ContainerType, ListCompositeType, type Type } from '@chainsafe/ssz'
import {
  Count64,
  type RepairVoucher,
  type SignedRepairVoucher,
  SignedRepairVoucherType,
  type SignedVoucher,
  SignedVoucherType,
} from '@ioex/chain/types'

/** What vouchers on a rail pay for. */
export interface PaidRailPlace {
  readonly rail: number
  readonly generation: number
}

/** What the pot pays a rail for: the slot that is being rebuilt, and who serves. */
export type RepairedFrom = Omit<RepairVoucher, 'kib'>

const RailEntryType = new ContainerType({
  /** Bytes served on this rail since it opened. */
  usedBytes: Count64,
  newest: new ListCompositeType(SignedVoucherType, 1),
})
const RepairEntryType = new ContainerType({
  /** Bytes served for this refill from this rail. */
  usedBytes: Count64,
  newest: new ListCompositeType(SignedRepairVoucherType, 1),
})

/** What was served at a place, and the voucher with the highest counters, if any came. */
export interface VoucherEntry<Signed> {
  usedBytes: number
  newest: Signed[]
}

/** How a ledger of one kind of vouchers is written: their places' keys and their entries. */
interface LedgerFormat<Place, Signed> {
  readonly entryType: Type<VoucherEntry<Signed>>
  keyOf(place: Place): string
}

export type RailLedger = VoucherLedger<PaidRailPlace, SignedVoucher>
export type RepairLedger = VoucherLedger<RepairedFrom, SignedRepairVoucher>

/**
 * The newest voucher of every place, on disk. A voucher is money: it is synced before anything
 * more is served for it, so that no crash loses more than the step that was open.
 */
export class VoucherLedger<Place, Signed> {
  readonly #db: ClassicLevel<string, Uint8Array>
  readonly #format: LedgerFormat<Place, Signed>

  private constructor(db: ClassicLevel<string, Uint8Array>, format: LedgerFormat<Place, Signed>) {
    this.#db = db
    this.#format = format
  }

  /** Opens the ledger in a folder of its own. */
  static async open<Place, Signed>(
    folder: string,
    format: LedgerFormat<Place, Signed>,
  ): Promise<VoucherLedger<Place, Signed>> {
    const db = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' })
    await db.open()
    return new VoucherLedger(db, format)
  }

  async get(place: Place): Promise<VoucherEntry<Signed> | undefined> {
    const bytes = await this.#db.get(this.#format.keyOf(place))
    return bytes && this.#decoded(bytes)
  }

  async put(place: Place, entry: VoucherEntry<Signed>): Promise<void> {
    const bytes = this.#format.entryType.serialize(entry)
    await this.#db.put(this.#format.keyOf(place), bytes, { sync: true })
  }

  /** The newest voucher of a place, to redeem it. */
  async voucher(place: Place): Promise<Signed | undefined> {
    return (await this.get(place))?.newest[0]
  }

  /** Every voucher that is kept. */
  async vouchers(): Promise<Signed[]> {
    const found: Signed[] = []
    for await (const bytes of this.#db.values()) found.push(...this.#decoded(bytes).newest)
    return found
  }

  /** Forgets a place whose vouchers are worth nothing any more. */
  async delete(place: Place): Promise<void> {
    await this.#db.del(this.#format.keyOf(place))
  }

  close(): Promise<void> {
    return this.#db.close()
  }

  #decoded(bytes: Uint8Array): VoucherEntry<Signed> {
    return this.#format.entryType.deserialize(Uint8Array.from(bytes))
  }
}

/** The vouchers of rails. */
export function openRailLedger(folder: string): Promise<RailLedger> {
  return VoucherLedger.open(folder, { entryType: RailEntryType, keyOf: railKey })
}

/** The vouchers of repairs, one place for every rail and refill. */
export function openRepairLedger(folder: string): Promise<RepairLedger> {
  return VoucherLedger.open(folder, { entryType: RepairEntryType, keyOf: repairKey })
}

export function railKey({ rail, generation }: PaidRailPlace): string {
  return `${rail}-${generation}`
}

export function repairKey({ contract, generation, slot, refill, rail }: RepairedFrom): string {
  return [contract, generation, slot, refill, rail].join('-')
}
