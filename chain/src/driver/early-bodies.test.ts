import { expect, test } from 'vitest'
import { EarlyBodies } from './early-bodies.ts'

const body = Uint8Array.of(1)

test('a validator may bring two bodies early, all together sixteen, and false ones take no room', () => {
  const early = new EarlyBodies()
  const kept = (signer: number, hash: string, isBody = true) =>
    early.keep(signer, hash, body, () => isBody)
  expect(kept(50, 'false', false)).toBe(false)
  expect(['a', 'b', 'c'].map((hash) => kept(51, hash))).toEqual([true, true, false])
  // Known already.
  expect(kept(51, 'a')).toBe(true)
  const more = Array.from({ length: 20 }, (_, i) => kept(i, `of validator ${i}`))
  expect(more.filter(Boolean)).toHaveLength(14)
  expect(early.sizes()).toEqual({ bodies: 16, bodiesOfSigner: 2 })
  expect(early.take()).toHaveLength(16)
  expect(early.sizes()).toEqual({ bodies: 0, bodiesOfSigner: 0 })
})
