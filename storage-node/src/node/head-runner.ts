import { setTimeout as delay } from 'node:timers/promises'
import type { ChainHead } from '@ioex/chain/light'
import type { Logger } from 'pino'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'

/** How long a stop waits for a running task. */
const STOP_MS = 2_000

/**
 * Runs a task at new heads, one run at a time: heads that come while it runs are skipped but the
 * last. A failing run is logged; the next head tries again.
 */
export class HeadRunner {
  readonly #task: (head: ChainHead) => Promise<void>
  readonly #logger: Logger
  readonly #unsubscribe: () => void
  #waiting: ChainHead | undefined
  #running: Promise<void> | undefined

  constructor(chain: ChainClient, logger: Logger, task: (head: ChainHead) => Promise<void>) {
    this.#task = task
    this.#logger = logger
    this.#unsubscribe = chain.onHead((head) => {
      this.#waiting = head
      this.#running ??= this.#run()
    })
  }

  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#waiting = undefined
    // A task may wait for a transaction that a stopped chain never finalises.
    await Promise.race([this.#running, delay(STOP_MS, undefined, { ref: false })])
  }

  async #run(): Promise<void> {
    for (let head = this.#waiting; head; head = this.#waiting) {
      this.#waiting = undefined
      try {
        await this.#task(head)
      } catch (error) {
        this.#logger.warn({ height: head.height, reason: reasonOf(error) }, 'task failed')
      }
    }
    this.#running = undefined
  }
}
