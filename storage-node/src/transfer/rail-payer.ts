import { publicKeyOf, sign, signingDigest, verifySignature } from '@ioex/chain/bytes'
import { type SignedVoucher, VoucherType } from '@ioex/chain/types'
import { TransferError } from './transfer-error.ts'
import { KIB, kibOf, STEP_BYTES_FIRST, STEP_BYTES_MAX, stepAfter } from './voucher-step.ts'

/** What the served side says about a rail when a session opens. */
export interface MeterReading {
  /** Bytes it served on this rail so far. */
  readonly usedBytes: number
  /** How far it serves ahead of the newest voucher. */
  readonly stepBytes: number
  /** The newest voucher it holds. */
  readonly newest: SignedVoucher | undefined
}

export interface PaidRail {
  readonly chainId: Uint8Array
  readonly rail: number
  readonly generation: number
  /** Secret of the rail's payer. */
  readonly ownerKey: Uint8Array
}

/** Signs the rail's counters; `payerKey` is the public key, where it is known already. */
export function signVoucher(
  rail: PaidRail,
  kib: number,
  reservations = 0,
  payerKey = publicKeyOf(rail.ownerKey),
): SignedVoucher {
  const voucher = { rail: rail.rail, generation: rail.generation, kib, reservations }
  const digest = signingDigest('voucher', rail.chainId, VoucherType.hashTreeRoot(voucher))
  return { voucher, payerKey, signature: sign(digest, rail.ownerKey) }
}

/**
 * The paying side of a rail, shared by all its sessions. It needs no memory of its own: the
 * served side shows the newest voucher, and only the payer can have signed it. What the other
 * side claims beyond that voucher is believed up to one step, the most that it may have served
 * unpaid.
 */
export class RailPayer {
  readonly #rail: PaidRail
  readonly #payerKey: Uint8Array
  #sessions = 0
  #owedBytes = 0
  #signedKib = 0
  #reservations = 0
  /** From here the served side's step grows, as far as we know: never further than it does. */
  #openedKib = 0

  constructor(rail: PaidRail) {
    this.#rail = rail
    this.#payerKey = publicKeyOf(rail.ownerKey)
  }

  get rail(): PaidRail {
    return this.#rail
  }

  /** The rail's counter at `kib`, signed: to show that the payer agrees, or to pay. */
  voucher(kib: number): SignedVoucher {
    return signVoucher(this.#rail, kib, this.#reservations, this.#payerKey)
  }

  get signedKib(): number {
    return this.#signedKib
  }

  get stepBytes(): number {
    return stepAfter((this.#signedKib - this.#openedKib) * KIB)
  }

  get idle(): boolean {
    return this.#sessions === 0
  }

  /**
   * Takes the reading at the start of a session; gives the voucher for what an earlier, broken
   * session left unpaid, if any. Throws PEER_PROTOCOL where the shown voucher is not ours.
   */
  begin(reading: MeterReading): SignedVoucher | undefined {
    const { newest } = reading
    if (newest && !this.#isOurs(newest)) {
      throw new TransferError('PEER_PROTOCOL', 'the peer shows a voucher that we did not sign')
    }
    this.#sessions += 1
    // Paying later than the other side waits would stop both.
    if (reading.stepBytes < this.stepBytes) {
      const grownBytes = Math.max(0, reading.stepBytes - STEP_BYTES_FIRST)
      this.#openedKib = this.#signedKib - Math.floor((2 * grownBytes) / KIB)
    }
    // Sessions that run already account for their own bytes, which the reading leaves open.
    if (this.#sessions > 1) return undefined
    // What was signed last may never have arrived: the other side's voucher is what counts.
    this.#signedKib = newest?.voucher.kib ?? 0
    this.#reservations = newest?.voucher.reservations ?? 0
    const paidBytes = this.#signedKib * KIB
    this.#owedBytes = Math.min(reading.usedBytes, paidBytes + STEP_BYTES_MAX)
    this.#openedKib = this.#signedKib
    return this.#owedBytes > paidBytes ? this.#sign() : undefined
  }

  /**
   * Counts more bytes of a session; gives the next voucher when half a step is unpaid, so that
   * the served side need not stop.
   */
  owe(bytes: number): SignedVoucher | undefined {
    this.#owedBytes += bytes
    if (this.#owedBytes - this.#signedKib * KIB < this.stepBytes / 2) return undefined
    return this.#sign()
  }

  /** Ends a session; gives the voucher for what is still unpaid, if any. */
  end(): SignedVoucher | undefined {
    this.#sessions -= 1
    return kibOf(this.#owedBytes) > this.#signedKib ? this.#sign() : undefined
  }

  #sign(): SignedVoucher {
    this.#signedKib = kibOf(this.#owedBytes)
    return this.voucher(this.#signedKib)
  }

  #isOurs(signed: SignedVoucher): boolean {
    const { rail, generation, chainId } = this.#rail
    const { voucher, signature } = signed
    if (voucher.rail !== rail || voucher.generation !== generation) return false
    const digest = signingDigest('voucher', chainId, VoucherType.hashTreeRoot(voucher))
    return verifySignature(signature, digest, this.#payerKey)
  }
}
