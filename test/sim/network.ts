import type { EventHeap } from './event-heap.ts'
import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'

const CALM_MS = [5, 60] as const
/** A skip timeout of two seconds is over before a proposal is here. */
const SLOW_MS = [2_200, 2_800] as const

/** The side of one that is alone. */
const AWAY = 0

/** What a network needs to know of a scenario. */
type NetworkScenario = Pick<
  Scenario,
  | 'calmFromMs'
  | 'slow'
  | 'loss'
  | 'duplication'
  | 'delayMaxMs'
  | 'partitionMs'
  | 'sidesByView'
  | 'away'
>

/** Loses, delays, repeats and cuts off until calm; then delivers everything soon. */
export class SimulatedNetwork {
  readonly #scenario: NetworkScenario
  readonly #heap: EventHeap
  readonly #random: Random
  readonly #names: readonly string[]
  #side = new Map<string, number>()
  readonly #cutOffUntilMs = new Map<string, number>()

  constructor(
    scenario: NetworkScenario,
    heap: EventHeap,
    random: Random,
    names: readonly string[],
  ) {
    this.#scenario = scenario
    this.#heap = heap
    this.#random = random
    this.#names = names
    if (scenario.partitionMs > 0) this.#repartition()
    if (scenario.away !== undefined) this.#side.set(`${scenario.away}`, AWAY)
  }

  get isCalm(): boolean {
    return this.#heap.now >= this.#scenario.calmFromMs
  }

  isConnected(from: string, to: string): boolean {
    if (this.isCalm) return true
    if (this.#isCutOff(from) || this.#isCutOff(to)) return false
    return this.#side.get(from) === this.#side.get(to)
  }

  /** Nobody hears it, and it hears nobody, until then or until calm. */
  cutOff(name: string, untilMs: number): void {
    this.#cutOffUntilMs.set(name, untilMs)
  }

  #isCutOff(name: string): boolean {
    return this.#heap.now < (this.#cutOffUntilMs.get(name) ?? 0)
  }

  /** `view` is the one that the sender speaks in. */
  send(from: string, to: string, deliver: () => void, view = 0): void {
    const { loss, duplication, delayMaxMs } = this.#scenario
    const random = this.#random
    if (this.isCalm) {
      const [least, most] = this.#scenario.slow ? SLOW_MS : CALM_MS
      this.#heap.schedule(this.#heap.now + random.between(least, most), deliver)
      return
    }
    if (!this.isConnected(from, to) || !this.#isScripted(from, to, view)) return
    if (random.chance(loss)) return
    this.#heap.schedule(this.#heap.now + random.between(5, delayMaxMs), deliver)
    if (random.chance(duplication)) {
      this.#heap.schedule(this.#heap.now + random.between(5, 2 * delayMaxMs), deliver)
    }
  }

  #isScripted(from: string, to: string, view: number): boolean {
    const sides = this.#scenario.sidesByView?.[view - 1] ?? 0
    const sideOf = (name: string) => (sides >> this.#names.indexOf(name)) & 1
    return sideOf(from) === sideOf(to)
  }

  /** Up to three sides, drawn anew; sometimes all are together for a while. */
  #repartition(): void {
    const sides = this.#random.between(1, 3)
    for (const name of this.#names) this.#side.set(name, this.#random.between(1, sides))
    if (this.isCalm) return
    const { partitionMs } = this.#scenario
    const next = this.#heap.now + this.#random.between(partitionMs / 2, partitionMs * 2)
    this.#heap.schedule(next, () => this.#repartition())
  }
}
