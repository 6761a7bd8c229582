import { describe, expect, test } from 'vitest'
import { keyOf, UNITS } from '../../../../chain/src/rules/testing/sample-chain.ts'
import { MemoryChain } from './memory-chain.ts'

describe('memory chain', () => {
  test('executes by the production rules and fixes beacons', async () => {
    const chain = new MemoryChain({ balances: { alice: 10n * UNITS } })
    const alice = keyOf('alice')
    const to = keyOf('bob').address
    const pay = chain.sample.byOwner(alice, { selector: 0, value: { to, amount: UNITS } })
    const id = await chain.submit(pay)
    const final = chain.outcome(id, 100)
    chain.tick()
    expect((await final).height).toBe(1)
    expect((await chain.account(to))?.balance).toBe(UNITS)
    await expect(chain.submit(pay)).rejects.toMatchObject({ code: 'NONCE_TOO_LOW' })
    chain.runEpochs(2)
    for (let i = 0; i < 5; i++) chain.tick()
    const { epoch } = await chain.head()
    expect((await chain.epoch(epoch))?.beaconHeight).toBeGreaterThan(0)
  })
})
