import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concatBytes } from '../bytes/hex.ts'
import {
  checkConfirmQuorum,
  confirmOfBlockMessage,
  decodeConfirm,
  encodeConfirm,
} from './confirm.ts'
import { asInternalHash } from './hash-orientation.ts'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_SECRETS } from './local-arbiters.ts'
import { signConfirm } from './sign-confirm.ts'

const blockHash = asInternalHash(new Uint8Array(32).fill(7))
const confirm = signConfirm(blockHash, LOCAL_ARBITER_SECRETS.slice(0, 4))
const bytes = encodeConfirm(confirm)

test('a Confirm of four of five arbiters counts, and no byte of it may be another', () => {
  expect(checkConfirmQuorum(confirm, blockHash, LOCAL_ARBITER_KEYS)).toMatchObject({ ok: true })
  for (let at = 0; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes)
    changed[at] = (changed[at] as number) ^ (1 << (at % 8))
    const decoded = decodeConfirm(changed)
    const isTaken =
      decoded.ok && checkConfirmQuorum(decoded.value, blockHash, LOCAL_ARBITER_KEYS).ok
    expect(isTaken, `byte ${at}`).toBe(false)
  }
})

test('floor(2n/3) + 1 votes of different arbiters are enough, one less is not', () => {
  const any = fc.subarray([...LOCAL_ARBITER_SECRETS], { minLength: 1 })
  const strangers = fc.constantFrom(0, 1)
  fc.assert(
    fc.property(any, strangers, fc.integer({ min: 5, max: 8 }), (signers, stranger, count) => {
      const others = stranger ? [new Uint8Array(32).fill(99)] : []
      const signed = signConfirm(blockHash, [...signers, ...others])
      const checked = checkConfirmQuorum(signed, blockHash, LOCAL_ARBITER_KEYS, count)
      const enough = signers.length >= Math.floor((2 * count) / 3) + 1
      expect(checked.ok).toBe(enough && stranger === 0)
    }),
    { numRuns: 60 },
  )
})

test('the Confirm of a block message is found behind transactions of any type', () => {
  const message = (...parts: Uint8Array[]) => concatBytes(blockHash, new Uint8Array(300), ...parts)
  const yes = Uint8Array.of(1)
  expect(confirmOfBlockMessage(message(yes, bytes), blockHash)).toEqual(confirm)
  expect(confirmOfBlockMessage(message(Uint8Array.of(0)), blockHash)).toBeUndefined()
  expect(confirmOfBlockMessage(message(Uint8Array.of(0), bytes), blockHash)).toBeUndefined()
  expect(confirmOfBlockMessage(message(yes, bytes.slice(0, -1)), blockHash)).toBeUndefined()
  expect(confirmOfBlockMessage(bytes, blockHash)).toBeUndefined()
  expect(confirmOfBlockMessage(new Uint8Array(0), blockHash)).toBeUndefined()
})
