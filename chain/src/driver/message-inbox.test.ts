import { expect, test } from 'vitest'
import { MessageInbox } from './message-inbox.ts'

test('one loud peer fills its own share only, and gets it back', () => {
  const inbox = new MessageInbox()
  const admitted = Array.from({ length: 1000 }, () => inbox.admit('loud', 100)).filter(Boolean)
  expect(admitted).toHaveLength(512)
  expect(inbox.admit('quiet', 100)).toBe(true)
  for (const _ of admitted) inbox.release('loud', 100)
  expect(inbox.admit('loud', 8 * 1024 * 1024)).toBe(true)
  expect(inbox.admit('loud', 1)).toBe(false)
})

test('all peers together are bounded, too', () => {
  const inbox = new MessageInbox()
  const megabyte = 1024 * 1024
  const admitted = Array.from({ length: 100 }, (_, i) => inbox.admit(`peer ${i}`, megabyte))
  expect(admitted.filter(Boolean)).toHaveLength(32)
})
