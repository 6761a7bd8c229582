import { bytesToHex, type Hex } from '../../../chain/src/bytes/hex.ts'
import type { ChainManager, FinalizedBlock } from '../../../chain/src/manager/chain-manager.ts'
import { isReleased } from '../../../chain/src/rules/release-stake.ts'
import type { Genesis } from '../../../chain/src/rules/genesis-state.ts'
import { auditSupply } from '../../../chain/src/rules/supply.ts'
import { stateRoot } from '../../../chain/src/state/ledger.ts'
import { DelegationKind } from '../../../chain/src/types/records.ts'
import { transactionId } from '../../../chain/src/types/transaction-codec.ts'
import { ReceiptKind } from '../../../chain/src/types/receipts.ts'
import { Violation } from '../violation.ts'
import { ReleaseModel } from './release-model.ts'

/** What final ledgers must be like, whatever happened to the nodes that hold them. */
export class LedgerChecker {
  /** Hash of each final block, by height: the first node to have it says. */
  readonly #chain = new Map<number, Hex>()
  readonly #transactions = new Map<Hex, number>()
  readonly #relayFees = new Map<number, bigint>()
  /** Most that the payer of a rail ever signed for, units, by rail. */
  readonly signedFor = new Map<number, bigint>()
  /** Kinds of transactions in final blocks. */
  readonly included = new Map<number, number>()
  violation: Violation | undefined
  readonly #releases: ReleaseModel

  constructor({ params }: Genesis, mainCheckpoint: Uint8Array) {
    this.#releases = new ReleaseModel(params, mainCheckpoint, (what) => this.report(what))
  }

  get height(): number {
    return this.#chain.size
  }

  /** Releases of stake so far. */
  get releases(): number {
    return this.#releases.releases
  }

  /** Callers run deep inside what they check, so that a throw would be taken for its fault. */
  report(what: string): void {
    this.violation ??= new Violation(what)
  }

  final(manager: ChainManager, block: FinalizedBlock): void {
    const { hash, header, transactions, receipts } = block
    const { height } = header
    const known = this.#chain.get(height)
    // The header holds the state root: one hash says that both are equal.
    if (known !== undefined && known !== hash) this.report(`I9 two blocks at height ${height}`)
    // Several blocks become final together: the ledger then stands after the last one.
    if (manager.final.hash === hash) this.#checkLedger(manager, header.stateRoot)
    if (known !== undefined) return
    this.#chain.set(height, hash)
    for (const transaction of transactions) {
      const id = bytesToHex(transactionId(transaction))
      const before = this.#transactions.get(id)
      if (before !== undefined) this.report(`I11 a transaction in blocks ${before} and ${height}`)
      this.#transactions.set(id, height)
      const { selector } = transaction.body.payload
      this.included.set(selector, (this.included.get(selector) ?? 0) + 1)
    }
    for (const { body } of receipts) {
      if (body.selector === ReceiptKind.relay) this.#paid(body.value.rail, body.value.fee)
    }
    this.#releases.block({ height, epoch: header.epoch, transactions, receipts }, hash)
    if (manager.final.hash === hash) this.#checkExits(manager)
  }

  /** I14, both ways: the rule lets out exactly what Invariant A lets out. */
  #checkExits({ ledger }: ChainManager): void {
    for (const { index, mayLeave } of this.#releases.exits()) {
      const exit = ledger.delegations.get(index)
      if (exit?.kind !== DelegationKind.unbonding) {
        this.report(`I14 the stake on its way out under ${index} is gone`)
      } else if (isReleased(ledger, exit.exitEpoch) !== mayLeave) {
        this.report(`I14 stake ${index} ${mayLeave ? 'is held back' : 'could leave too early'}`)
      }
    }
  }

  /** I12: what a node reads back is what was final, and nothing that it had is lost. */
  restarted(manager: ChainManager, leastHeight: number): void {
    const { hash, header } = manager.final
    if (header.height < leastHeight) this.report(`I12 block ${leastHeight} is lost by a restart`)
    const known = this.#chain.get(header.height)
    if (header.height > 0 && known !== undefined && known !== hash) {
      this.report(`I12 a restart shows another block ${header.height}`)
    }
    this.#checkLedger(manager, header.stateRoot)
  }

  #checkLedger({ ledger }: ChainManager, root: Uint8Array): void {
    if (bytesToHex(stateRoot(ledger)) !== bytesToHex(root)) this.report('I9 state root')
    const audited = auditSupply(ledger)
    if (!audited.ok) this.report(`I10 ${audited.fault.message}`)
  }

  /** I11: all receipts of a rail together never exceed what its payer signed. */
  #paid(rail: number, fee: bigint): void {
    const sum = (this.#relayFees.get(rail) ?? 0n) + fee
    this.#relayFees.set(rail, sum)
    if (sum > (this.signedFor.get(rail) ?? 0n)) this.report(`I11 rail ${rail} is paid twice`)
  }
}
