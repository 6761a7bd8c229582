import { expect, test } from 'vitest'
import { AnswerDesk } from './answer-desk.ts'

function desk() {
  const givenUp: string[] = []
  const all = new AnswerDesk((peer) => peer.startsWith('named'))
  const take = (peer: string) => all.take(peer, () => givenUp.push(peer))
  return { all, take, givenUp }
}

test('one peer is given eight answers at a time, over however many connections', () => {
  const { all, take } = desk()
  const places = Array.from({ length: 20 }, () => take('stranger'))
  expect(places.filter(Boolean)).toHaveLength(8)
  places[0]?.()
  expect(take('stranger')).toBeDefined()
  expect(all.size).toBe(8)
})

test('where a few fill the room each newcomer takes a place of the one with the most', () => {
  const { all, take, givenUp } = desk()
  for (let i = 0; i < 48; i++) expect(take(`loud ${i % 6}`)).toBeDefined()
  for (let i = 0; i < 6; i++) expect(take(`quiet ${i}`)).toBeDefined()
  expect(givenUp.toSorted()).toEqual(Array.from({ length: 6 }, (_, i) => `loud ${i}`))
  expect(all.size).toBe(48)
})

test('a crowd of names is bounded in all, and named peers have room of their own', () => {
  const { all, take } = desk()
  for (let i = 0; i < 500; i++) take(`name ${i}`)
  expect(all.size).toBe(48)
  expect(take('another')).toBeUndefined()
  expect(take('named peer')).toBeDefined()
})
