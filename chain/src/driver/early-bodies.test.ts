import { expect, test } from 'vitest'
import { EarlyBodies } from './early-bodies.ts'

const body = Uint8Array.of(1)

test('a peer may bring two bodies early, all together sixteen, and false ones take no room', () => {
  const early = new EarlyBodies()
  const kept = (peer: string, hash: string, isBody = true) =>
    early.keep(peer, hash, body, () => isBody)
  expect(kept('liar', 'false', false)).toBe(false)
  expect(['a', 'b', 'c'].map((hash) => kept('peer', hash))).toEqual([true, true, false])
  // Known already, whoever brings it.
  expect(kept('other', 'a')).toBe(true)
  const more = Array.from({ length: 20 }, (_, i) => kept(`peer-${i}`, `of peer ${i}`))
  expect(more.filter(Boolean)).toHaveLength(14)
  expect(early.sizes()).toEqual({ bodies: 16, bodiesOfPeer: 2 })
  expect(early.take()).toHaveLength(16)
  expect(early.sizes()).toEqual({ bodies: 0, bodiesOfPeer: 0 })
})
