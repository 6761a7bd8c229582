import { expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { encodeShortIds, shortIdOf } from './short-ids.ts'
import { encodeBatches } from './transaction-batch.ts'
import { TransactionRelay } from './transaction-relay.ts'

const SALT = new Uint8Array(16).fill(3)
const bodyOf = (name: number) => new Uint8Array(100).fill(name)
const idOf = (body: Uint8Array) => encodeShortIds([shortIdOf(SALT, sha256(body))])

/** A relay among peers that never answer and one, `honest`, that gives what it is asked for. */
function besieged() {
  const clock = { nowMs: 0 }
  const asked: string[] = []
  const judged: number[] = []
  const waiting: (() => void)[] = []
  let wanted = bodyOf(0)
  const relay = new TransactionRelay({
    salt: SALT,
    ask: (peer) => {
      asked.push(peer)
      if (peer === 'honest') return Promise.resolve(encodeBatches([wanted])[0] as Uint8Array)
      return new Promise((_, reject) => waiting.push(() => reject(new Error('timed out'))))
    },
    judge: (_, body) => {
      judged.push(body[0] as number)
      return 'accept'
    },
    onFault: () => undefined,
    nowMs: () => clock.nowMs,
  })
  return {
    relay,
    asked,
    judged,
    /** Announced by so many silent peers first, and then by the honest one. */
    announce(name: number, silent: number) {
      wanted = bodyOf(name)
      for (let i = 0; i < silent; i++) relay.announced(`silent ${i}`, idOf(wanted))
      relay.announced('honest', idOf(wanted))
    },
    /** Questions that wait time out, and what is due is asked. */
    async pass() {
      clock.nowMs += 3000
      for (const timeOut of waiting.splice(0)) timeOut()
      await new Promise(setImmediate)
      relay.tick()
      await new Promise(setImmediate)
    },
  }
}

test('a transaction that a crowd announced first and withholds comes from the one that gives it', async () => {
  const { asked, judged, announce, pass } = besieged()
  announce(7, 20)
  for (let i = 0; i < 25 && judged.length === 0; i++) await pass()
  expect(judged).toEqual([7])
  // Who has given something is asked before those that never did.
  asked.length = 0
  announce(8, 25)
  await pass()
  expect(judged).toEqual([7, 8])
})

test('who let a question time out is not listened to for ten seconds', async () => {
  const { relay, asked, announce, pass } = besieged()
  relay.announced('silent 0', idOf(bodyOf(1)))
  await pass()
  expect(asked).toEqual(['silent 0'])
  relay.announced('silent 0', idOf(bodyOf(2)))
  expect(relay.sizes().announcedOfPeer).toBe(0)
  for (let i = 0; i < 4; i++) await pass()
  announce(2, 1)
  expect(asked).toEqual(['silent 0', 'silent 0'])
})
