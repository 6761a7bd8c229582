import { expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { keyOf, UNITS } from '../rules/testing/sample-chain.ts'
import { LevelStore } from '../store/level-store.ts'
import { blockHash } from '../types/block.ts'
import { envelopeOf, managerOn } from '../sync/testing/served-chain.ts'
import { BUILD_MS_MAX } from './chain-manager.ts'
import { decodeBody } from './block-execution.ts'

test('a block that this node objects to stays refused until the objection is gone', async () => {
  const chain = new CertifiedChain()
  const envelope = envelopeOf(chain.append([], { certified: false }))
  let objection: string | undefined = 'our main node has another header there'
  const manager = await managerOn(await LevelStore.inMemory(), { objection: () => objection })
  const verdict = async () => (await manager.validateBlock(envelope)).verdict

  expect(await verdict()).toBe('refused')
  // A machine that begins anew asks for the same block again.
  expect(await verdict()).toBe('refused')
  objection = undefined
  expect(await verdict()).toBe('valid')
  objection = 'a branch with more work came'
  expect(await verdict()).toBe('refused')
})

test('a proposer stops filling its block when the time for it is over', async () => {
  const chain = new CertifiedChain()
  const place = envelopeOf(chain.append([], { certified: false }))
  const { sample } = new CertifiedChain()
  const payment = { to: keyOf('bob').address, amount: UNITS }
  const waiting = Array.from({ length: 10 }, (_, nonce) =>
    sample.byOwner(keyOf('alice'), { selector: 0, value: payment }, { nonce }),
  )
  /** Transactions of a block, where each that is looked at takes so long. */
  async function built(eachMs: number, lane: readonly unknown[] = []): Promise<number> {
    let nowMs = 1000
    function* slow() {
      for (const transaction of waiting) {
        yield transaction
        nowMs += eachMs
      }
    }
    const store = await LevelStore.inMemory()
    const systemLane = () => [...lane] as typeof waiting
    const manager = await managerOn(store, { waiting: slow, systemLane }, () => nowMs)
    const { header, justification } = place
    const parentHash = bytesToHex(header.parentHash)
    const block = await manager.buildBlock({ fields: header, parentHash, justification })
    const body = block && decodeBody(block.body)
    if (!block || !body?.ok) throw new Error('a block was due')
    // Whatever it holds, others find it valid.
    const hash = bytesToHex(blockHash(block.header))
    const envelope = { hash, header: block.header, justification, body: block.body }
    const other = await managerOn(await LevelStore.inMemory())
    expect((await other.validateBlock(envelope)).verdict).toBe('valid')
    return body.value.length
  }
  expect(await built(BUILD_MS_MAX / 10 - 1)).toBe(10)
  expect(await built(BUILD_MS_MAX / 5)).toBe(5)
  expect(await built(BUILD_MS_MAX)).toBe(1)
  // What a proposer brings by itself is not cut.
  expect(await built(BUILD_MS_MAX, waiting.slice(0, 4))).toBeGreaterThanOrEqual(4)
})
