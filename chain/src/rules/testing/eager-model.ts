import { isChallenged } from '../challenge.ts'

/**
 * The challenge automaton as PROTOCOL 6.5 tells it, looked at in every block, and the epochs of
 * rails counted one by one: slow and plain, to hold the lazy production rules against.
 */
export interface EagerParams {
  readonly window: number
  readonly strikesToEvict: number
  readonly node: Uint8Array
}

interface EagerRail {
  weight: bigint
  /** Weight counts in the inventory. */
  isIn: boolean
  fillEpoch: number
  end: number
  ask: { epoch: number; height: number } | undefined
  lostEpoch: number | undefined
  clearedEpoch: number | undefined
  left: boolean
}

interface EagerResolution {
  readonly epoch: number
  readonly openedAt: number
  readonly A: number
  readonly P: number
  readonly passed: boolean
}

export class EagerModel {
  readonly #params: EagerParams
  A: number
  P = 0
  strikes = 0
  evicted = false
  challenge: { epoch: number; openedAt: number } | undefined
  readonly resolutions: EagerResolution[] = []
  readonly rails = new Map<number, EagerRail>()
  /** Epochs x (the stretch from x-1 to x) that a pass proved. */
  readonly #proven = new Set<number>()
  #sumAtCheckpoint = 0n
  #epoch: number
  #beaconFixed = false

  constructor(params: EagerParams, epoch: number) {
    this.#params = params
    this.A = epoch
    this.#epoch = epoch
  }

  #sum(): bigint {
    let sum = 0n
    for (const rail of this.rails.values()) if (rail.isIn) sum += rail.weight
    return sum
  }

  /** First block of an epoch: the checkpoint before it is the snapshot, and windows end. */
  beginEpoch(epoch: number): void {
    this.#sumAtCheckpoint = this.#sum()
    this.#epoch = epoch
    this.#beaconFixed = false
    const { challenge } = this
    if (!challenge || epoch < challenge.epoch + this.#params.window) return
    this.A = challenge.epoch + this.#params.window
    this.strikes += 1
    this.challenge = undefined
    this.resolutions.push({ ...challenge, A: this.A, P: this.P, passed: false })
    if (this.strikes < this.#params.strikesToEvict) return
    this.evicted = true
    for (const rail of this.rails.values()) rail.isIn = false
  }

  /** The block that fixes the beacon of the running epoch. */
  fixBeacon(beacon: Uint8Array, height: number, q: bigint): void {
    this.#beaconFixed = true
    if (this.evicted || this.challenge || this.#sumAtCheckpoint === 0n) return
    const rate = this.strikes > 0 ? (1n << 64n) - 1n : q
    if (!isChallenged(beacon, this.#params.node, rate)) return
    this.challenge = { epoch: this.#epoch, openedAt: height }
  }

  get isBeaconFixed(): boolean {
    return this.#beaconFixed
  }

  prove(): void {
    const { challenge } = this
    if (!challenge) throw new Error('the model has no open challenge')
    for (let x = this.A + 1; x <= challenge.epoch; x++) this.#proven.add(x)
    this.P += challenge.epoch - this.A
    this.A = challenge.epoch
    this.strikes = 0
    this.challenge = undefined
    this.resolutions.push({ ...challenge, A: this.A, P: this.P, passed: true })
  }

  fill(index: number, weight: bigint, term: number): void {
    const wasZero = this.#sum() === 0n
    this.rails.set(index, {
      weight,
      isIn: true,
      fillEpoch: this.#epoch,
      end: this.#epoch + 1 + term,
      ask: undefined,
      lostEpoch: undefined,
      clearedEpoch: undefined,
      left: false,
    })
    if (wasZero && !this.challenge) this.A = Math.max(this.A, this.#epoch)
  }

  rail(index: number): EagerRail {
    return this.rails.get(index) as EagerRail
  }

  lose(index: number): void {
    const rail = this.rail(index)
    rail.lostEpoch = this.#epoch
    rail.left = true
    rail.isIn = false
  }

  clear(index: number): void {
    const rail = this.rail(index)
    rail.clearedEpoch = this.#epoch
    rail.isIn = false
  }

  #base(rail: EagerRail): EagerResolution | undefined {
    return this.resolutions.find(({ epoch }) => epoch >= rail.fillEpoch + 1)
  }

  stop(index: number): number {
    const rail = this.rail(index)
    let stop = Math.min(rail.end, rail.ask?.epoch ?? Infinity)
    const { lostEpoch } = rail
    if (lostEpoch !== undefined) {
      stop = Math.min(stop, this.resolutions.findLast(({ epoch }) => epoch <= lostEpoch)?.A ?? 0)
    }
    return stop
  }

  /** E and Elapsed, epoch by epoch. */
  epochs(index: number): { E: number; elapsed: number } {
    const base = this.#base(this.rail(index))
    const last = this.resolutions.at(-1)
    let E = 0
    let elapsed = 0
    if (base && last) {
      for (let x = base.A + 1; x <= Math.min(this.stop(index), last.A); x++) {
        elapsed += 1
        if (this.#proven.has(x)) E += 1
      }
    }
    return { E, elapsed }
  }

  closing(index: number): EagerResolution | undefined {
    const { ask, fillEpoch } = this.rail(index)
    if (!ask) return undefined
    return this.resolutions.find(
      ({ epoch, openedAt }) => openedAt >= ask.height && epoch > fillEpoch,
    )
  }
}
