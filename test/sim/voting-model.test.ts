import { describe, expect, test } from 'vitest'
import { checkVotingModel, VOTING_RULES, type VotingRules } from './voting-model.ts'

/** Leaving any of these rules out lets two conflicting blocks become final. */
const mutants: { readonly [name: string]: Partial<VotingRules> } = {
  'notarize twice': { notarizeOnce: false },
  'any parent': { parentCertified: false },
  'skips unchecked': { gapSkipped: false },
  'skip after final': { noSkipAfterFinal: false },
  'final after skip': { noFinalAfterSkip: false },
  'quorum of two': { honestQuorum: 1 },
}

describe('model of the voting rules', () => {
  test('agreement holds in every reachable state of two views', () => {
    const { states, transitions, violation } = checkVotingModel(2)
    expect(violation).toBeUndefined()
    // The search is exhaustive: its size is a property of the rules.
    expect([states, transitions]).toEqual([10_600, 31_665])
  })

  test.for(Object.entries(mutants))('%s is refuted', ([, change]) => {
    expect(checkVotingModel(2, { ...VOTING_RULES, ...change }).violation).toBeDefined()
  })
})
