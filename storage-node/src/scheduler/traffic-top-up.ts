import { PayloadKind, TopUpKind } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { nextHead } from '../node/chain-lag.ts'
import { trafficUnits } from '../node/rail-settlement.ts'
import { type OwnerAccount, refusalCode } from '../node/transactions.ts'
import { isTransferError, reasonOf } from '../transfer/transfer-error.ts'
import { StorageError } from './storage-interfaces.ts'

/** Units that one request locks more at most unless it says otherwise: 1 IOEX. */
export const TOP_UP_UNITS_MAX = 100_000_000n
/** Traffic that a top-up pays at least: the next small read needs no transaction of its own. */
const TOP_UP_BYTES_MIN = 4 * 1024 * 1024
/** How long a provider may take to see a block that this client has seen. */
const HEAD_MS = 2_500

/** A rail whose lock shall pay so many bytes beyond those signed for. */
export interface ShortRail {
  readonly rail: number
  readonly bytes: number
  /** The payer's counter by generation, where this process signed vouchers. */
  signedKib(generation: number): number
}

/**
 * Adds to the traffic locks of one's own rails, within the limit of one request. What is locked is
 * paid only as vouchers are signed for bytes that came; the rest comes back when the rail closes.
 */
export class TrafficTopUp {
  readonly #chain: ChainClient
  readonly #account: OwnerAccount
  readonly #unitsMax: bigint
  readonly #rails = new Set<number>()
  #units = 0n

  constructor(chain: ChainClient, account: OwnerAccount, unitsMax: bigint) {
    this.#chain = chain
    this.#account = account
    this.#unitsMax = unitsMax
  }

  /** Units added so far. */
  get units(): bigint {
    return this.#units
  }

  /** Rails that got them. */
  get rails(): number {
    return this.#rails.size
  }

  /**
   * Has the rail's lock pay the bytes; where it does already, the provider is given time to see
   * that. Throws TOP_UP_LIMIT before anything is sent, CHAIN_REFUSED.
   */
  async pay({ rail, bytes, signedKib }: ShortRail): Promise<void> {
    const record = await this.#chain.rail(rail)
    if (!record?.live) return
    const { generation, unitPrice, lockUnits } = record
    const usedBytes = Math.max(record.kib, signedKib(generation)) * 1024
    const missing = trafficUnits(unitPrice, usedBytes + bytes) - lockUnits
    if (missing > 0n) {
      const amount = this.#reserve(rail, missing, trafficUnits(unitPrice, TOP_UP_BYTES_MIN))
      await this.#send({ rail, generation, amount })
    }
    await nextHead(this.#chain, HEAD_MS)
  }

  /** Sets the amount aside at once, so that rails topped up side by side share one limit. */
  #reserve(rail: number, missing: bigint, usual: bigint): bigint {
    const left = this.#unitsMax - this.#units
    if (missing > left) {
      throw new StorageError(
        'TOP_UP_LIMIT',
        `the traffic lock of rail ${rail} lacks ${ioexOf(missing)} IOEX for this read, and ` +
          `${ioexOf(left)} of ${ioexOf(this.#unitsMax)} may still be added: raise the limit (--top-up)`,
      )
    }
    const wanted = missing > usual ? missing : usual
    const amount = wanted < left ? wanted : left
    this.#units += amount
    return amount
  }

  async #send(more: { rail: number; generation: number; amount: bigint }): Promise<void> {
    const { rail: target, generation, amount } = more
    const value = { kind: TopUpKind.railUnits, target, generation, amount }
    try {
      await this.#account.send({ selector: PayloadKind.topUp, value })
      this.#rails.add(target)
    } catch (error) {
      this.#units -= amount
      const code = refusalCode(error)
      const message = `the traffic lock of rail ${target} is used up, and topping it up failed: `
      throw new StorageError('CHAIN_REFUSED', `${message}${code}: ${reasonOf(error)}`, error)
    }
  }
}

/** Units as IOEX, exact. */
function ioexOf(units: bigint): string {
  const digits = units.toString().padStart(9, '0')
  const fraction = digits.slice(-8).replace(/0+$/, '')
  return `${digits.slice(0, -8)}${fraction && `.${fraction}`}`
}

/** Whether a provider refused because the rail's lock cannot pay more. */
export function isLockUsedUp(error: unknown): boolean {
  return isTransferError(error, 'PEER_REFUSED') && error.refusal === 'LOCK_EXHAUSTED'
}
