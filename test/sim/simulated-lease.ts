/** Views that one writing of the lease allows beyond the one that asked for it. */
const VIEWS_AHEAD = 64

interface Place {
  readonly epoch: number
  readonly view: number
}

/** What the signer's lease does, without its file: it outlives a disk that is lost. */
export class SimulatedLease {
  #leased: Place = { epoch: 0, view: 0 }
  #floor: Place = { epoch: 0, view: 0 }

  /** Before a vote of this view is signed. */
  cover(epoch: number, view: number): void {
    const { epoch: upToEpoch, view: upToView } = this.#leased
    if (upToEpoch > epoch || (upToEpoch === epoch && upToView >= view)) return
    this.#leased = { epoch, view: view + VIEWS_AHEAD }
  }

  /** The log is gone: whatever the lease allowed may have been signed. */
  forbidLeased(): void {
    this.#floor = this.#leased
  }

  /** Views of `epoch` up to this one may not be signed. */
  signAbove(epoch: number): number {
    if (this.#floor.epoch < epoch) return 0
    return this.#floor.epoch === epoch ? this.#floor.view : Number.MAX_SAFE_INTEGER
  }
}
