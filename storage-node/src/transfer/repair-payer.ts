import { publicKeyOf, sign, signingDigest, verifySignature } from '@ioex/chain/bytes'
import { type RepairVoucher, RepairVoucherType, type SignedRepairVoucher } from '@ioex/chain/types'
import { TransferError } from './transfer-error.ts'
import type { RepairedFrom } from './voucher-ledger.ts'
import { KIB, kibOf, STEP_BYTES_MAX, stepAfter } from './voucher-step.ts'

/** What the serving side says when a session opens. */
export interface RepairReading {
  readonly usedBytes: number
  readonly stepBytes: number
  readonly newest: SignedRepairVoucher | undefined
}

/**
 * A delegate's side of reading one slot to rebuild another (PROTOCOL 7): signs cumulative repair
 * vouchers as the blocks come. It needs no memory of its own: the serving side shows the newest
 * voucher, and what it claims beyond that is believed up to one step. One session at a time.
 */
export class RepairPayer {
  readonly #place: RepairedFrom
  readonly #chainId: Uint8Array
  readonly #delegateKey: Uint8Array
  readonly #publicKey: Uint8Array
  #owedBytes = 0
  #signedKib = 0
  #openedKib = 0

  constructor(chainId: Uint8Array, place: RepairedFrom, delegateKey: Uint8Array) {
    this.#chainId = chainId
    this.#place = place
    this.#delegateKey = delegateKey
    this.#publicKey = publicKeyOf(delegateKey)
  }

  get place(): RepairedFrom {
    return this.#place
  }

  /** Cumulative KiB that the newest voucher names. */
  get signedKib(): number {
    return this.#signedKib
  }

  /**
   * Takes the reading at the start of a session; gives the voucher for what a broken one left
   * unpaid, if any. Throws PEER_PROTOCOL where the shown voucher is not ours.
   */
  begin({ newest, usedBytes }: RepairReading): SignedRepairVoucher | undefined {
    if (newest && !this.#isOurs(newest)) {
      throw new TransferError('PEER_PROTOCOL', 'the peer shows a voucher that we did not sign')
    }
    this.#signedKib = newest?.voucher.kib ?? 0
    this.#openedKib = this.#signedKib
    const paidBytes = this.#signedKib * KIB
    this.#owedBytes = Math.min(usedBytes, paidBytes + STEP_BYTES_MAX)
    return this.#owedBytes > paidBytes ? this.#sign() : undefined
  }

  /** Counts more bytes; gives the next voucher when half a step is unpaid. */
  owe(bytes: number): SignedRepairVoucher | undefined {
    this.#owedBytes += bytes
    const stepBytes = stepAfter((this.#signedKib - this.#openedKib) * KIB)
    if (this.#owedBytes - this.#signedKib * KIB < stepBytes / 2) return undefined
    return this.#sign()
  }

  /** Gives the voucher for what is still unpaid, if any. */
  end(): SignedRepairVoucher | undefined {
    return kibOf(this.#owedBytes) > this.#signedKib ? this.#sign() : undefined
  }

  #sign(): SignedRepairVoucher {
    this.#signedKib = kibOf(this.#owedBytes)
    const voucher = { ...this.#place, kib: this.#signedKib }
    const digest = digestOf(this.#chainId, voucher)
    const signature = sign(digest, this.#delegateKey)
    return { voucher, delegateKey: this.#publicKey, signature }
  }

  #isOurs({ voucher, signature }: SignedRepairVoucher): boolean {
    const digest = digestOf(this.#chainId, voucher)
    return isForPlace(voucher, this.#place) && verifySignature(signature, digest, this.#publicKey)
  }
}

function digestOf(chainId: Uint8Array, voucher: RepairVoucher): Uint8Array {
  return signingDigest('repair-voucher', chainId, RepairVoucherType.hashTreeRoot(voucher))
}

export function isForPlace(voucher: RepairVoucher, place: RepairedFrom): boolean {
  return (
    voucher.contract === place.contract &&
    voucher.generation === place.generation &&
    voucher.slot === place.slot &&
    voucher.refill === place.refill &&
    voucher.rail === place.rail
  )
}

/** Whether the key that a repair voucher names signed it for this chain. */
export function isSignedRepair(
  chainId: Uint8Array,
  { voucher, delegateKey, signature }: SignedRepairVoucher,
): boolean {
  return verifySignature(signature, digestOf(chainId, voucher), delegateKey)
}
