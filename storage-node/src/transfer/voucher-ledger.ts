import { ClassicLevel } from 'classic-level'
import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { Count64, type SignedVoucher, SignedVoucherType } from '@ioex/chain/types'

const EntryType = new ContainerType({
  /** Bytes served on this rail since it opened. */
  usedBytes: Count64,
  newest: new ListCompositeType(SignedVoucherType, 1),
})
export type VoucherEntry = ValueOf<typeof EntryType>

/**
 * The newest voucher of every rail, on disk. A voucher is money: it is synced before anything
 * more is served for it, so that no crash loses more than the step that was open.
 */
export class VoucherLedger {
  readonly #db: ClassicLevel<string, Uint8Array>

  constructor(db: ClassicLevel<string, Uint8Array>) {
    this.#db = db
  }

  async get(rail: number, generation: number): Promise<VoucherEntry | undefined> {
    const bytes = await this.#db.get(keyOf(rail, generation))
    return bytes && EntryType.deserialize(Uint8Array.from(bytes))
  }

  async put(rail: number, generation: number, entry: VoucherEntry): Promise<void> {
    await this.#db.put(keyOf(rail, generation), EntryType.serialize(entry), { sync: true })
  }

  /** The newest voucher of a rail, to redeem it. */
  async voucher(rail: number, generation: number): Promise<SignedVoucher | undefined> {
    return (await this.get(rail, generation))?.newest[0]
  }

  /** Forgets a rail that is closed. */
  async delete(rail: number, generation: number): Promise<void> {
    await this.#db.del(keyOf(rail, generation))
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}

/** Opens the ledger in a folder of its own. */
export async function openVoucherLedger(folder: string): Promise<VoucherLedger> {
  const db = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' })
  await db.open()
  return new VoucherLedger(db)
}

function keyOf(rail: number, generation: number): string {
  return `${rail}-${generation}`
}
