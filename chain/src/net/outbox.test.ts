import { expect, test } from 'vitest'
import { Outbox } from './outbox.ts'

/** A peer that reads nothing until it is let go. */
function slowPeer() {
  const gate = Promise.withResolvers<void>()
  const written: Uint8Array[] = []
  const outbox = new Outbox(async () => {
    await gate.promise
    return { write: (message) => Promise.resolve(written.push(message)) }
  })
  const read = async () => {
    gate.resolve()
    await expect.poll(() => written.at(-1)?.[0]).toBe(255)
    return written
  }
  return { outbox, read }
}

test('large messages for a peer that does not read are bounded in bytes, the oldest go', async () => {
  const { outbox, read } = slowPeer()
  const block = new Uint8Array(2 * 1024 * 1024)
  for (let i = 0; i < 100; i++) outbox.add(block)
  outbox.add(Uint8Array.of(255))
  const written = await read()
  // One was on its way when the rest had to wait; the small one took the eighth place.
  expect(written).toHaveLength(1 + 7 + 1)
})

test('small messages are bounded in number', async () => {
  const { outbox, read } = slowPeer()
  for (let i = 0; i < 1000; i++) outbox.add(Uint8Array.of(1))
  outbox.add(Uint8Array.of(255))
  expect(await read()).toHaveLength(1 + 512)
})
