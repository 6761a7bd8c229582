import type { HandRail } from './hand-rail.ts'

const ALWAYS = 2n ** 64n - 1n

/** A challenge that was decided. */
interface Decided {
  readonly epoch: number
  /** A after it. */
  readonly A: number
}

/** A node as PROTOCOL 6 describes it, every proven epoch written down by itself. */
export class HandNode {
  readonly address: string
  readonly payout: string
  /** Resolved up to this epoch. */
  A: number
  strikes = 0
  evicted = false
  debt = 0n
  /** What arrived at its payout address. */
  received = 0n
  pending: { readonly epoch: number; readonly fee: bigint } | undefined
  readonly proven = new Set<number>()
  readonly rails: HandRail[] = []
  /** Forfeits that no receipt says yet. */
  readonly unsaid: Readonly<Record<string, unknown>>[] = []
  readonly #decided: Decided[] = []
  #challenge: { readonly epoch: number; readonly height: number } | undefined

  constructor(address: string, payout: string, epoch: number) {
    this.address = address
    this.payout = payout
    this.A = epoch
  }

  get held(): bigint {
    return this.rails.reduce(
      (sum, { totals, forfeited, released }) => sum + totals.held - forfeited - released,
      0n,
    )
  }

  take(rail: HandRail, epoch: number): void {
    // It stored nothing until now: the time before is nobody's.
    if (this.#weight(epoch + 1).sum === 0n && !this.#challenge) this.A = Math.max(this.A, epoch)
    this.rails.push(rail)
  }

  /** The beacon of an epoch was fixed: all nodes with weight are asked, as the budget is 0. */
  open(epoch: number, height: number): void {
    if (this.#challenge || this.#weight(epoch).sum === 0n) return
    this.#challenge = { epoch, height }
  }

  /** Answered in time; gives the epochs that are proven by it. */
  pass(epoch: number): number {
    if (this.#challenge?.epoch !== epoch) throw new Error(`no challenge of ${epoch} was open`)
    const epochs = epoch - this.A
    for (let proven = this.A + 1; proven <= epoch; proven++) this.proven.add(proven)
    this.A = epoch
    this.strikes = 0
    this.#challenge = undefined
    this.#decided.push({ epoch, A: epoch })
    return epochs
  }

  /** The first block of an epoch: whoever was asked a window ago and did not answer loses. */
  lapse(now: number, window: number): void {
    const challenge = this.#challenge
    if (challenge?.epoch !== now - window) return
    this.strikes += 1
    const { sum, count } = this.#weight(challenge.epoch)
    this.unsaid.push({
      node: this.address,
      epoch: challenge.epoch,
      beaconHeight: challenge.height,
      fromEpoch: this.A,
      toEpoch: now,
      strikes: this.strikes,
      rate: ALWAYS,
      inventorySum: sum,
      inventoryCount: count,
    })
    this.A = now
    this.#challenge = undefined
    this.#decided.push({ epoch: challenge.epoch, A: now })
  }

  /** Proven and elapsed epochs of one of its rails, up to its end, ask or loss (PROTOCOL 6.6). */
  countEpochs(rail: HandRail): { E: number; elapsed: number } {
    const base = this.#decided.find(({ epoch }) => epoch > rail.fillEpoch)?.A
    if (base === undefined || rail.leaves === 0) return { E: 0, elapsed: 0 }
    const { lost } = rail
    const ends = [rail.fillEpoch + 1 + rail.term]
    if (rail.ask !== undefined) ends.push(rail.ask)
    if (lost !== undefined) {
      ends.push(this.#decided.findLast(({ epoch }) => epoch <= lost)?.A ?? 0)
    }
    const stop = Math.min(...ends)
    let E = 0
    for (let epoch = base + 1; epoch <= stop; epoch++) if (this.proven.has(epoch)) E += 1
    return { E, elapsed: Math.max(0, Math.min(stop, this.A) - base) }
  }

  /** The inventory at the checkpoint before an epoch: what filled and was lost before it. */
  #weight(epoch: number): { sum: bigint; count: number } {
    const there = this.rails.filter(
      ({ fillEpoch, freed }) => fillEpoch < epoch && (freed === undefined || freed >= epoch),
    )
    const drawn = there.filter(({ lost }) => lost === undefined || lost >= epoch)
    const sum = drawn.reduce((weights, { billed, price }) => weights + billed * price, 0n)
    return { sum, count: there.length }
  }
}
