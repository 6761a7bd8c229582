import { expect, test } from 'vitest'
import { MessageInbox } from './message-inbox.ts'

const MEGABYTE = new Uint8Array(1024 * 1024)
const SMALL = new Uint8Array(100)

/** How many of `count` messages of a peer are taken in. */
function put(inbox: MessageInbox, peer: string, count: number, message = SMALL): number {
  return Array.from({ length: count }, () => inbox.put(peer, message)).filter(Boolean).length
}

test('one loud peer fills its own share only, and gets it back', () => {
  const inbox = new MessageInbox()
  expect(put(inbox, 'loud', 1000)).toBe(512)
  expect(inbox.put('quiet', SMALL)).toBe(true)
  while (inbox.take());
  expect(inbox.size).toBe(0)
  expect(put(inbox, 'loud', 20, MEGABYTE)).toBe(8)
  expect(inbox.put('loud', SMALL)).toBe(false)
})

test('peers take turns, each in the order of its own messages', () => {
  const inbox = new MessageInbox()
  for (const i of [1, 2, 3]) inbox.put('loud', Uint8Array.of(i))
  for (const i of [4, 5]) inbox.put('quiet', Uint8Array.of(i))
  const taken = Array.from({ length: 6 }, () => inbox.take()?.bytes[0])
  expect(taken).toEqual([1, 4, 2, 5, 3, undefined])
})

test('loud peers that fill all the room give way to who has less', () => {
  const inbox = new MessageInbox()
  for (const peer of ['a', 'b', 'c', 'd']) expect(put(inbox, peer, 600)).toBe(512)
  expect(inbox.size).toBe(2048)
  expect(put(inbox, 'honest', 100)).toBe(100)
  expect(put(inbox, 'a', 512)).toBeLessThan(512)
  expect(inbox.size).toBe(2048)
  const firstTurns = Array.from({ length: 5 }, () => inbox.take()?.peer)
  expect(firstTurns).toContain('honest')
})

test('all peers together are bounded in bytes, too', () => {
  const inbox = new MessageInbox()
  const admitted = Array.from({ length: 100 }, (_, i) => inbox.put(`peer ${i}`, MEGABYTE))
  expect(admitted.filter(Boolean)).toHaveLength(32)
  expect(inbox.put('small', SMALL)).toBe(true)
})
