import type { ChainHead } from '@ioex/chain/light'
import { expect, test } from 'vitest'
import { keepRepaired } from './keep-repaired.ts'

/** A chain that shows heads when told to. */
class Heads {
  readonly #listeners = new Set<(head: ChainHead) => void>()
  epoch = 1

  get waiting(): number {
    return this.#listeners.size
  }

  async head(): Promise<ChainHead> {
    return { epoch: this.epoch } as ChainHead
  }

  onHead(listener: (head: ChainHead) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async show(epoch: number): Promise<void> {
    this.epoch = epoch
    const head = await this.head()
    const told = [...this.#listeners]
    for (const listener of told) listener(head)
    // Until it has looked and waits again.
    while (told.some((one) => this.#listeners.has(one)) || this.waiting === 0) {
      await new Promise(setImmediate)
    }
  }
}

test('one look in each epoch, one more where it failed, and nothing left behind at the end', async () => {
  const chain = new Heads()
  const stop = new AbortController()
  const looks: number[] = []
  const failures: unknown[] = []
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
  const before = timers()
  const kept = keepRepaired({
    chain,
    signal: stop.signal,
    repair: async () => {
      looks.push(chain.epoch)
      if (looks.length === 2) throw new Error('no peer answers')
    },
    onFailure: (error) => void failures.push(error),
  })
  while (chain.waiting === 0) await new Promise(setImmediate)
  for (const epoch of [1, 1, 2, 2, 3]) await chain.show(epoch)
  stop.abort()
  await kept
  expect(looks).toEqual([1, 2, 2, 3])
  expect(failures).toHaveLength(1)
  // A timer that stayed would keep the process of "ioex repair --watch" for a minute.
  expect(chain.waiting).toBe(0)
  expect(timers()).toBe(before)
})
