import { beforeAll, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { StakeWorld } from '../rules/testing/stake-world.ts'
import { codeOf } from '../rules/testing/world.ts'
import { EvidenceKeeper } from './evidence-keeper.ts'

beforeAll(() => installNativeCrypto())

test('evidence is kept once, offered until a block has it, then forgotten', () => {
  const world = new StakeWorld()
  const keeper = new EvidenceKeeper(world.draft)
  const { first, second } = world.doubleVote(3)
  const evidence = keeper.evidenceOf({ ...first, validator: 3 }, { ...second, validator: 3 })
  if (!evidence.ok) throw new Error(evidence.fault.message)
  expect(keeper.keep(evidence.value)).toBe(true)
  expect(keeper.keep(world.doubleVote(3, 1, 8))).toBe(false)
  expect(keeper.forBlockOn(world.draft)).toEqual([evidence.value])
  expect(codeOf(world.accuse(evidence.value))).toBe('ok')
  expect(keeper.forBlockOn(world.draft)).toEqual([])
  keeper.afterBlock()
  expect(keeper.keep(world.doubleVote(3))).toBe(false)
})

test('votes of a set that is not known accuse nobody', () => {
  const world = new StakeWorld()
  const keeper = new EvidenceKeeper(world.draft)
  const { first, second } = world.doubleVote(3, 7)
  const vote = (statement: typeof first) => ({ ...statement, validator: 3 })
  expect(codeOf(keeper.evidenceOf(vote(first), vote(second)))).toBe('EVIDENCE_VALIDATOR')
  const { first: a, second: b } = world.doubleVote(3)
  const stranger = keeper.evidenceOf({ ...a, validator: 9 }, { ...b, validator: 9 })
  expect(codeOf(stranger)).toBe('EVIDENCE_VALIDATOR')
})
