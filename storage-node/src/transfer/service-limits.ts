import type { ProviderCounters } from './provider-context.ts'
import { Refusal } from './refusal.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
export const DAY_MINUTES = 1440

/** Minutes of the day, UTC, from..to; over midnight where `to` is the smaller. Equal: none. */
export interface QuietHours {
  readonly fromMinute: number
  readonly toMinute: number
}

/** What an operator does not want to be asked for. Proofs go on regardless. */
export interface ServiceLimits {
  /** Bytes in and out in a day (UTC); 0: no limit. */
  readonly bytesPerDay: number
  readonly quiet: QuietHours
}

export const NO_LIMITS: ServiceLimits = { bytesPerDay: 0, quiet: { fromMinute: 0, toMinute: 0 } }

/** True in a node's quiet hours. */
export function isQuietAt({ fromMinute, toMinute }: QuietHours, nowMs: number): boolean {
  if (fromMinute === toMinute) return false
  const minute = Math.floor((nowMs % DAY_MS) / MINUTE_MS)
  const isAfter = minute >= fromMinute
  const isBefore = minute < toMinute
  return fromMinute < toMinute ? isAfter && isBefore : isAfter || isBefore
}

/**
 * Says no to new transfers beyond a node's limits, so that whoever asks knows to ask another or
 * to come back: a capped node is not a faulty one (PROTOCOL 2, 10).
 */
export class ServiceGate {
  readonly #limits: ServiceLimits
  readonly #counters: Pick<ProviderCounters, 'bytesIn' | 'bytesOut'>
  readonly #now: () => number
  #day: number
  #bytesBefore: number

  constructor(
    limits: ServiceLimits,
    counters: Pick<ProviderCounters, 'bytesIn' | 'bytesOut'>,
    now: () => number = Date.now,
  ) {
    this.#limits = limits
    this.#counters = counters
    this.#now = now
    this.#day = Math.floor(now() / DAY_MS)
    this.#bytesBefore = this.#total()
  }

  #total(): number {
    return this.#counters.bytesIn + this.#counters.bytesOut
  }

  /** Bytes of the running day. */
  get bytesToday(): number {
    const day = Math.floor(this.#now() / DAY_MS)
    if (day !== this.#day) {
      this.#day = day
      this.#bytesBefore = this.#total()
    }
    return this.#total() - this.#bytesBefore
  }

  get isOpen(): boolean {
    return this.#refusal() === undefined
  }

  /** Throws Refusal QUIET_HOURS or TRAFFIC_CAP. */
  pass(): void {
    const refusal = this.#refusal()
    if (refusal) throw refusal
  }

  #refusal(): Refusal | undefined {
    const { bytesPerDay, quiet } = this.#limits
    if (isQuietAt(quiet, this.#now())) {
      const until = `${String(Math.floor(quiet.toMinute / 60)).padStart(2, '0')}:${String(quiet.toMinute % 60).padStart(2, '0')}`
      return new Refusal('QUIET_HOURS', `this node rests until ${until} UTC: ask another`)
    }
    if (bytesPerDay > 0 && this.bytesToday >= bytesPerDay) {
      return new Refusal('TRAFFIC_CAP', 'this node has moved its bytes of the day: ask another')
    }
    return undefined
  }
}
