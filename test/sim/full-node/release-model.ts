import { bytesToHex, type Hex } from '../../../chain/src/bytes/hex.ts'
import { decodeHeaderWithAuxPow } from '../../../chain/src/elastos/main-header.ts'
import type { NetworkParams } from '../../../chain/src/params/network-params.ts'
import { type Receipt, ReceiptKind, StakeAction } from '../../../chain/src/types/receipts.ts'
import { PayloadKind, type Transaction } from '../../../chain/src/types/transactions.ts'

/** PROTOCOL 11: stake asked back in epoch e has no weight from e + 2 on. */
const EXIT_AFTER_EPOCHS = 2

interface Anchor {
  readonly epoch: number
  readonly mainHeight: number
  /** Epoch of the block in which the anchor was found FINAL. */
  finalEpoch: number | undefined
}

/** What of a final block says something about anchors and stake. */
export interface ModelBlock {
  readonly height: number
  readonly epoch: number
  readonly transactions: readonly Pick<Transaction, 'body'>[]
  readonly receipts: readonly Pick<Receipt, 'transaction' | 'body'>[]
}

type Terms = Pick<
  NetworkParams,
  'epochBlocks' | 'anchorFinalMainBlocks' | 'unbondingAnchors' | 'unbondingEpochs'
>

/**
 * I14 (Invariant A) from the text alone, over what final blocks hold: no stake is released before
 * checkpoints that commit to its exit are FINAL on the main chain. It keeps its own main chain and
 * its own list of exits, and reads nothing of the ledger.
 */
export class ReleaseModel {
  readonly #terms: Terms
  readonly #report: (what: string) => void
  readonly #checkpoints = new Map<number, Hex>()
  readonly #anchors: Anchor[] = []
  /** Exit epochs by index of the record. */
  readonly #exits = new Map<number, number>()
  /** Hashes of main headers on record, by height. */
  readonly #main = new Map<number, Hex>()
  #mainTip = 0
  #epoch = 0
  releases = 0

  constructor(terms: Terms, mainCheckpoint: Uint8Array, report: (what: string) => void) {
    this.#terms = terms
    this.#report = report
    this.#record(mainCheckpoint)
  }

  /** Exits that wait, and whether each may be paid out now. */
  *exits(): Iterable<{ readonly index: number; readonly mayLeave: boolean }> {
    for (const [index, exitEpoch] of this.#exits) {
      yield { index, mayLeave: this.#mayLeave(exitEpoch) }
    }
  }

  /** The next final block. */
  block({ height, epoch, transactions, receipts }: ModelBlock, hash: Hex): void {
    this.#epoch = epoch
    for (const [index, { body }] of transactions.entries()) {
      const { payload } = body
      if (payload.selector === PayloadKind.mainHeaders) this.#headers(payload.value.headers)
      if (payload.selector === PayloadKind.anchor) this.#anchored(payload.value)
      for (const receipt of receipts) {
        if (receipt.transaction === index) this.#stake(receipt.body)
      }
    }
    if (height % this.#terms.epochBlocks === 0) this.#checkpoints.set(epoch, hash)
  }

  #headers(headers: readonly Uint8Array[]): void {
    const [first] = headers
    const decoded = first && decodeHeaderWithAuxPow(first)
    if (!decoded?.ok) return this.#report('I14 a block records what is no main header')
    const { header } = decoded.value
    const fork = header.height - 1
    if (this.#main.get(fork) !== bytesToHex(header.previous)) {
      this.#report(`I14 main header ${header.height} stands on none on record`)
    }
    for (const raw of headers) this.#record(raw)
    const stay = this.#anchors.filter(({ mainHeight, finalEpoch }) => {
      if (mainHeight > fork && finalEpoch !== undefined) {
        this.#report(`I14 the FINAL anchor in main block ${mainHeight} is gone`)
      }
      return mainHeight <= fork
    })
    this.#anchors.splice(0, this.#anchors.length, ...stay)
    this.#finalise()
  }

  #record(raw: Uint8Array): void {
    const decoded = decodeHeaderWithAuxPow(raw)
    if (!decoded.ok) return
    const { hash, header } = decoded.value
    this.#main.set(header.height, bytesToHex(hash))
    this.#mainTip = header.height
  }

  #anchored(anchor: {
    readonly epoch: number
    readonly checkpointHash: Uint8Array
    readonly mainHeight: number
  }): void {
    const { epoch, mainHeight } = anchor
    if (this.#checkpoints.get(epoch) !== bytesToHex(anchor.checkpointHash)) {
      this.#report(`I14 what is anchored for epoch ${epoch} is not its checkpoint`)
    }
    this.#anchors.push({ epoch, mainHeight, finalEpoch: undefined })
    this.#finalise()
  }

  #finalise(): void {
    for (const anchor of this.#anchors) {
      const depth = this.#mainTip - anchor.mainHeight + 1
      if (depth >= this.#terms.anchorFinalMainBlocks) anchor.finalEpoch ??= this.#epoch
    }
  }

  #stake(body: Receipt['body']): void {
    if (body.selector !== ReceiptKind.stake) return
    const { action, delegation } = body.value
    if (action === StakeAction.unbond) {
      this.#exits.set(delegation, this.#epoch + EXIT_AFTER_EPOCHS)
    }
    if (action !== StakeAction.release) return
    const exitEpoch = this.#exits.get(delegation)
    if (exitEpoch === undefined || !this.#mayLeave(exitEpoch)) {
      this.#report('I14 stake was released without a final anchor of its exit')
    }
    this.#exits.delete(delegation)
    this.releases += 1
  }

  #mayLeave(exitEpoch: number): boolean {
    const { unbondingAnchors, unbondingEpochs } = this.#terms
    const finals = this.#anchors
      .flatMap(({ epoch, finalEpoch }) => (finalEpoch === undefined ? [] : [{ epoch, finalEpoch }]))
      .filter(({ epoch }) => epoch >= exitEpoch)
      .sort((a, b) => a.epoch - b.epoch)
    const last = finals[unbondingAnchors - 1]
    return last !== undefined && this.#epoch >= last.finalEpoch + unbondingEpochs
  }
}
