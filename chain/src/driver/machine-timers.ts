import type { TimerName } from '../consensus/machine-interface.ts'
import type { DriverClock } from './driver-clock.ts'

/** The timers of a machine by name: one that is set again takes the place of its former self. */
export class MachineTimers {
  readonly #clock: DriverClock
  readonly #cancels = new Map<TimerName, () => void>()

  constructor(clock: DriverClock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#cancels.size
  }

  /** At once where `atMs` is past. */
  set(name: TimerName, atMs: number, onTime: () => void): void {
    this.#cancels.get(name)?.()
    const delayMs = Math.max(0, atMs - this.#clock.now())
    this.#cancels.set(name, this.#clock.setTimer(delayMs, onTime))
  }

  cancelAll(): void {
    for (const cancel of this.#cancels.values()) cancel()
    this.#cancels.clear()
  }
}
