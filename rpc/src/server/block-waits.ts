import type { LedgerBlock, LedgerSource } from './ledger-source.ts'
import { RpcFault } from './rpc-fault.ts'

/** Callers that may wait for a block at one time; more are refused instead of remembered. */
const WAITS_MAX = 2048

/** Long polls: lets callers sleep until the next final block. */
export class BlockWaits {
  #waiting = new Set<() => void>()
  readonly #stop: () => void
  #closed = false

  constructor(ledger: LedgerSource) {
    this.#stop = ledger.onBlock((_block: LedgerBlock) => this.#wake())
  }

  /**
   * Asks `check` now and after every final block until it gives something or `ms` are over.
   * Undefined when the time is over, the caller hung up or the server closes.
   */
  async until<T>(
    check: () => Promise<T | undefined>,
    ms: number,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const deadline = performance.now() + ms
    for (;;) {
      // Registered before the check, so that a block final in between is not missed.
      const next = this.#next(deadline, signal)
      try {
        const value = await check()
        if (value !== undefined) return value
        if (this.#closed || signal.aborted || performance.now() >= deadline) return undefined
        await next.happened
      } finally {
        next.forget()
      }
    }
  }

  #next(deadline: number, signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    if (this.#waiting.size >= WAITS_MAX) {
      throw new RpcFault('LIMIT_EXCEEDED', 'too many callers wait already: ask again later')
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = () => resolve()
    const timer = setTimeout(wake, Math.max(0, deadline - performance.now()))
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake)
    const forget = () => {
      clearTimeout(timer)
      this.#waiting.delete(wake)
      signal.removeEventListener('abort', wake)
    }
    return { happened: promise, forget }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  close(): void {
    this.#closed = true
    this.#stop()
    this.#wake()
  }
}
