import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { toInternalHex } from '../elastos/hash-orientation.ts'
import type { DecodedTransaction } from '../elastos/transaction.ts'
import type { MainLedger } from './main-ledger.ts'
import { returnsIn, withdrawalsIn } from './cross-chain-state.ts'
import { checkTransaction } from './main-transaction-rules.ts'
import { outpointKey } from './utxo-set.ts'

const POOL_TRANSACTIONS_MAX = 5000
const POOL_BYTES_MAX = 16 * 1024 * 1024
/** Block size that a miner fills, bytes. */
const BLOCK_FILL_BYTES_MAX = 2_000_000
const BLOCK_FILL_TRANSACTIONS_MAX = 9000

interface PoolEntry {
  readonly decoded: DecodedTransaction
  readonly fee: bigint
}

/** Transactions that wait for a block. Each spends confirmed outputs only, as on Elastos. */
export class MainMempool {
  private readonly ledger: MainLedger
  private readonly entries = new Map<string, PoolEntry>()
  private readonly spenders = new Map<string, string>()
  private bytes = 0

  constructor(ledger: MainLedger) {
    this.ledger = ledger
  }

  get size(): number {
    return this.entries.size
  }

  get(key: string): DecodedTransaction | undefined {
    return this.entries.get(key)?.decoded
  }

  all(): DecodedTransaction[] {
    return [...this.entries.values()].map(({ decoded }) => decoded)
  }

  ids(): DecodedTransaction['id'][] {
    return [...this.entries.values()].map(({ decoded }) => decoded.id)
  }

  add(decoded: DecodedTransaction): Result<undefined> {
    return this.take(decoded, true)
  }

  /** Transactions for the next block, in the order they came, and what they pay. */
  select(): { readonly transactions: readonly DecodedTransaction[]; readonly fees: bigint } {
    const transactions: DecodedTransaction[] = []
    let size = 0
    let fees = 0n
    for (const { decoded, fee } of this.entries.values()) {
      if (transactions.length >= BLOCK_FILL_TRANSACTIONS_MAX) break
      if (size + decoded.raw.length > BLOCK_FILL_BYTES_MAX) continue
      transactions.push(decoded)
      size += decoded.raw.length
      fees += fee
    }
    return { transactions, fees }
  }

  /**
   * After the best chain changed: takes back what left it, and drops what was mined or what can
   * no longer be. Signatures are not checked again, but where they depend on the height.
   */
  refresh(returned: readonly DecodedTransaction[]): void {
    const waiting = [...returned, ...[...this.entries.values()].map(({ decoded }) => decoded)]
    this.entries.clear()
    this.spenders.clear()
    this.bytes = 0
    for (const decoded of waiting) this.take(decoded, false)
  }

  private take(decoded: DecodedTransaction, checkSignatures: boolean): Result<undefined> {
    const key = toInternalHex(decoded.id)
    if (this.entries.has(key) || this.ledger.transaction(key)) {
      return fault('MAIN_TRANSACTION_KNOWN', 'the transaction is known already')
    }
    if (decoded.transaction.inputs.some((input) => this.spenders.has(outpointKey(input)))) {
      return fault('MAIN_INPUT_SPENT', 'a waiting transaction spends the same output')
    }
    if (
      this.entries.size >= POOL_TRANSACTIONS_MAX ||
      this.bytes + decoded.raw.length > POOL_BYTES_MAX
    ) {
      return fault('MAIN_POOL_FULL', 'too many transactions wait; try again after the next block')
    }
    const fee = this.check(decoded, checkSignatures)
    if (!fee.ok) return fee
    const clash = this.makeRoom(decoded)
    if (!clash.ok) return clash
    this.entries.set(key, { decoded, fee: fee.value })
    this.bytes += decoded.raw.length
    for (const input of decoded.transaction.inputs) this.spenders.set(outpointKey(input), key)
    return ok()
  }

  /**
   * Of a side chain only the newest SideChainPow waits, as on the real node; of a side
   * transaction only one payment.
   */
  private makeRoom(decoded: DecodedTransaction): Result<undefined> {
    const ids = new Set(paymentsIn(decoded))
    const { payload } = decoded.transaction
    for (const [key, { decoded: other }] of this.entries) {
      if (paymentsIn(other).some((id) => ids.has(id))) {
        return fault('MAIN_SIDE_TRANSACTION_USED', 'a waiting transaction pays the same')
      }
      const { payload: waiting } = other.transaction
      if (payload.kind !== 'side-chain-pow' || waiting.kind !== 'side-chain-pow') continue
      if (bytesEqual(payload.sideGenesisHash, waiting.sideGenesisHash)) this.drop(key, other)
    }
    return ok()
  }

  private drop(key: string, decoded: DecodedTransaction): void {
    this.entries.delete(key)
    this.bytes -= decoded.raw.length
    for (const input of decoded.transaction.inputs) this.spenders.delete(outpointKey(input))
  }

  /** The signer of a SideChainPow must be on duty now, whatever was checked before. */
  private check(decoded: DecodedTransaction, checkSignatures: boolean): Result<bigint> {
    const dependsOnDuty = decoded.transaction.payload.kind === 'side-chain-pow'
    return checkTransaction(decoded, {
      utxo: (input) => this.ledger.utxos.get(input),
      height: this.ledger.height + 1,
      coinbaseMaturity: this.ledger.rules.coinbaseMaturity,
      crossChain: this.ledger.crossChain,
      checkSignatures: checkSignatures || dependsOnDuty,
    })
  }
}

function paymentsIn(decoded: DecodedTransaction): string[] {
  return [...withdrawalsIn(decoded), ...returnsIn(decoded)].map(toInternalHex)
}
