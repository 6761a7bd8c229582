interface Work {
  readonly run: () => void | Promise<void>
  readonly cancel: (reason: Error) => void
}

/** Does one piece of work at a time, in the order in which it came. */
export class WorkQueue {
  readonly #waiting: Work[] = []
  readonly #onFailure: (cause: unknown) => void
  #busy: Promise<void> | undefined
  #isClosed = false

  /** `onFailure` gets what a piece of work threw; those behind it wait for the next push. */
  constructor(onFailure: (cause: unknown) => void) {
    this.#onFailure = onFailure
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** `cancel` is called instead of `run` where the queue is closed before its turn. */
  push(run: Work['run'], cancel: Work['cancel'] = () => undefined): void {
    if (this.#isClosed) return
    this.#waiting.push({ run, cancel })
    this.#busy ??= Promise.resolve().then(() => this.#drain())
  }

  /** Runs in its turn; a rejection goes to the caller. */
  enqueue(run: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) reject(new Error('consensus has stopped'))
      this.push(() => run().then(resolve, reject), reject)
    })
  }

  /** Nothing is taken any more; what is in hand goes on to its end. */
  close(): void {
    this.#isClosed = true
  }

  /** Resolves when no work is in hand. */
  async idle(): Promise<void> {
    await this.#busy
  }

  /** After close: what waits will not be done. */
  cancelWaiting(): void {
    for (const { cancel } of this.#waiting.splice(0)) cancel(new Error('consensus was stopped'))
  }

  async #drain(): Promise<void> {
    try {
      while (!this.#isClosed) {
        const work = this.#waiting.shift()
        if (!work) return
        await work.run()
      }
    } catch (cause) {
      this.#onFailure(cause)
    } finally {
      this.#busy = undefined // at once: who pushes next must find nobody at work
    }
  }
}
