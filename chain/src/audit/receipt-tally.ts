import { fault, ok, type Result } from '../bytes/result.ts'
import { paramsAt } from '../params/forks.ts'
import { BASIS_POINTS } from '../params/network-params.ts'
import { emissionOf } from '../rules/subsidy.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { DepositOutcome, type Receipt, type ReceiptBody, ReceiptKind } from '../types/receipts.ts'
import type { Epoch } from '../types/records.ts'

interface ServiceSums {
  fees: bigint
  burned: bigint
  toValidators: bigint
}

/**
 * Adds up the money that receipts say moved and compares it with the epoch records, which the
 * rules keep by another way: a receipt too many, too few or with a wrong amount shows here.
 */
export class ReceiptTally {
  #sums: ServiceSums = { fees: 0n, burned: 0n, toValidators: 0n }
  /** Subsidies by source epoch; epochs without any are not in it. */
  readonly #minted = new Map<number, bigint>()
  /** Coin from and to the main chain, by deposit and withdrawal receipts. */
  readonly #peg = { deposited: 0n, withdrawn: 0n }
  #receipts = 0
  #forfeits = 0
  #anchors = 0

  get receipts(): number {
    return this.#receipts
  }

  get forfeits(): number {
    return this.#forfeits
  }

  get anchors(): number {
    return this.#anchors
  }

  add(receipts: readonly Receipt[]): void {
    this.#receipts += receipts.length
    for (const { body } of receipts) {
      if (isServiceFee(body)) {
        this.#sums.fees += body.value.fee
        this.#sums.burned += body.value.burned
        this.#sums.toValidators += body.value.toValidators
      } else if (body.selector === ReceiptKind.reward) {
        const { epoch, amount } = body.value
        this.#minted.set(epoch, (this.#minted.get(epoch) ?? 0n) + amount)
      } else if (body.selector === ReceiptKind.deposit) {
        const { outcome, amount } = body.value
        if (outcome === DepositOutcome.credited) this.#peg.deposited += amount
      } else if (body.selector === ReceiptKind.withdrawal) {
        const { returned, output } = body.value
        this.#peg.withdrawn += returned ? -output : output
      } else if (body.selector === ReceiptKind.forfeit) {
        this.#forfeits++
      } else if (body.selector === ReceiptKind.anchor) {
        this.#anchors++
      }
    }
  }

  /** After an epoch's last block: its record is what its receipts add up to. */
  closeEpoch(ledger: LedgerDraft, epoch: number): Result<undefined> {
    const pegged = this.#comparePeg(ledger)
    if (!pegged.ok) return pegged
    const sums = this.#sums
    this.#sums = { fees: 0n, burned: 0n, toValidators: 0n }
    const record = ledger.epochs.get(epoch)
    if (!record) return fault('EPOCH_MISSING', `the ledger has no record of epoch ${epoch}`)
    const added = this.#compare(epoch, record, sums)
    if (!added.ok) return added
    const emission = emissionOf(ledger.params, record)
    return record.emission === emission
      ? ok()
      : fault('EMISSION', `the subsidy's ceiling of epoch ${epoch} is not rho of its burns`, {
          stated: record.emission,
          computed: emission,
        })
  }

  #compare(epoch: number, record: Readonly<Epoch>, sums: ServiceSums): Result<undefined> {
    for (const name of Object.keys(sums) as (keyof ServiceSums)[]) {
      if (sums[name] === record[name]) continue
      return fault('RECEIPT_SUMS', `receipts of epoch ${epoch} do not add up to its ${name}`, {
        receipts: sums[name],
        record: record[name],
      })
    }
    return ok()
  }

  /** The peg's totals are what deposits and withdrawals left receipts for. */
  #comparePeg(ledger: LedgerDraft): Result<undefined> {
    const peg = ledger.peg()
    for (const name of ['deposited', 'withdrawn'] as const) {
      if (this.#peg[name] === peg[name]) continue
      return fault('PEG_SUMS', `receipts do not add up to what the peg has ${name}`, {
        receipts: this.#peg[name],
        record: peg[name],
      })
    }
    return ok()
  }

  /**
   * At the end: every epoch minted what its Reward receipts say, and
   * minted(e) <= rho x burned(e) (PROTOCOL 7).
   */
  checkMint(ledger: LedgerDraft): Result<undefined> {
    for (let epoch = 0; epoch < ledger.epochs.count; epoch++) {
      const record = ledger.epochs.get(epoch)
      const minted = this.#minted.get(epoch) ?? 0n
      if (record?.minted !== minted) {
        return fault(
          'MINT_SUMS',
          `receipts mint ${minted} units for epoch ${epoch}, its record not`,
        )
      }
      if (minted * BASIS_POINTS > BigInt(paramsAt(ledger.params, epoch).rho) * record.burned) {
        return fault('MINT_ABOVE_CEILING', `epoch ${epoch} minted more than rho of what it burned`)
      }
    }
    return ok()
  }
}

/** Receipts that book fees: of rails, and of contracts' pots. */
function isServiceFee(
  body: ReceiptBody,
): body is Extract<
  ReceiptBody,
  { selector: (typeof ReceiptKind)['storage' | 'relay' | 'repair'] }
> {
  const { storage, relay, repair } = ReceiptKind
  return body.selector === storage || body.selector === relay || body.selector === repair
}
