/** Runs calls of the host one at a time, in order. A rejection goes to its caller only. */
export class HostCalls {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call)
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Resolves when no call is running. */
  async idle(): Promise<void> {
    await this.#last
  }
}
