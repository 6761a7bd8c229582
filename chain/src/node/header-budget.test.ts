import { expect, test } from 'vitest'
import { HeaderBudget } from './header-budget.ts'

test('even good certificates of one peer are looked at twice as often as blocks come, no more', () => {
  let nowMs = 0
  const budget = new HeaderBudget(500, () => nowMs)
  const taken = () => {
    let count = 0
    while (budget.take('peer')) {
      budget.judged('peer', true)
      count += 1
    }
    return count
  }
  expect(taken()).toBe(16)
  nowMs += 1000
  expect(taken()).toBe(4)
  nowMs += 60_000
  expect(taken()).toBe(16)
})

test('thousands of new names push out none that proved itself, and a lie ends that', () => {
  const budget = new HeaderBudget(1000, () => 0)
  expect(budget.take('known')).toBe(true)
  budget.judged('known', true)
  for (let i = 0; i < 2000; i++) budget.take(`name ${i}`)
  expect(budget.take('newcomer')).toBe(false)
  expect(budget.take('known')).toBe(true)
  budget.judged('known', false)
  expect(budget.take('known')).toBe(false)
})
