import { expect, test } from 'vitest'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_SECRETS } from './local-arbiters.ts'
import { p256PublicKey } from './p256.ts'

test('the keys of the local arbiters are those of their secrets', () => {
  expect(LOCAL_ARBITER_KEYS).toEqual(LOCAL_ARBITER_SECRETS.map(p256PublicKey))
  expect(LOCAL_ARBITER_KEYS).toHaveLength(5)
})
