import { expect, test } from 'vitest'
import { chooseRedundancy } from './redundancy.ts'

test.each([
  [3, 1, 1],
  [4, 1, 2],
  [5, 1, 3],
  [8, 2, 6],
  [13, 3, 11],
  [14, 4, 12],
  [39, 4, 12],
  [40, 10, 30],
  [100_000, 10, 30],
])('%i peers give %i of %i', (peers, k, n) => {
  expect(chooseRedundancy(peers)).toEqual({ ok: true, value: { k, n } })
})

test.each([0, 1, 2])('%i peers are too few', (peers) => {
  expect(chooseRedundancy(peers)).toMatchObject({ fault: { code: 'PEERS_TOO_FEW' } })
})
