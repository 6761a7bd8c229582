import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { Count64, U32 } from '@ioex/chain/types'
import { ClassicLevel } from 'classic-level'
import { type PaidRailPlace, railKey } from './voucher-ledger.ts'

const EntryType = new ContainerType({
  /** Reservation units that a paid link used since its rail opened. */
  units: Count64,
  /** Last epoch that is among them. */
  epoch: U32,
})
export type ReservationEntry = ValueOf<typeof EntryType>

/** How long paid links were kept on each rail, on disk: a restart must not forget what was used. */
export class ReservationLedger {
  readonly #db: ClassicLevel<string, Uint8Array>

  private constructor(db: ClassicLevel<string, Uint8Array>) {
    this.#db = db
  }

  /** Opens the ledger in a folder of its own. */
  static async open(folder: string): Promise<ReservationLedger> {
    const db = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' })
    await db.open()
    return new ReservationLedger(db)
  }

  async get(place: PaidRailPlace): Promise<ReservationEntry | undefined> {
    const bytes = await this.#db.get(railKey(place))
    return bytes && EntryType.deserialize(Uint8Array.from(bytes))
  }

  async put(place: PaidRailPlace, entry: ReservationEntry): Promise<void> {
    await this.#db.put(railKey(place), EntryType.serialize(entry), { sync: true })
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
