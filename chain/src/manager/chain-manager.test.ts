import { expect, test } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { LevelStore } from '../store/level-store.ts'
import { envelopeOf, managerOn } from '../sync/testing/served-chain.ts'

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
