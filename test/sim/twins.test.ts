import { describe, expect, test } from 'vitest'
import { runTwins, type TwinsPlan, twinsScenarioCount } from './twins.ts'

function violationsOf(plan: TwinsPlan): string[] {
  const found: string[] = []
  for (let number = 0; number < twinsScenarioCount(plan); number++) {
    const { violation } = runTwins(plan, number)
    if (violation !== undefined) found.push(`${number}: ${violation}`)
  }
  return found
}

describe('every split of two views', () => {
  test.for([0, 1, 2, 3])('with validator %i twinned nothing forks and nothing stops', (twin) => {
    expect(violationsOf({ views: 2, twins: [twin] })).toEqual([])
  })

  test('with two of four twinned, which is too many, three splits of 32 fork: they do bite', () => {
    expect(violationsOf({ views: 1, twins: [0, 1] })).toHaveLength(3)
  })
})
