/** Time as the driver sees it; tests and simulations bring their own. */
export interface DriverClock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls back once after `delayMs`; the answer cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void
}

export const systemClock: DriverClock = {
  now: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
