import { beforeAll, expect, test } from 'vitest'
import { installNativeCrypto } from '../../chain/src/native/install-native-crypto.ts'
import { presets } from '../../genesis/src/presets/presets.ts'
import { attacks, simulateEconomics } from './economics/economics.ts'
import { runMarket } from './economics/market.ts'
import { measure } from './economics/measure.ts'
import { textReport } from './economics/report.ts'

beforeAll(async () => {
  await installNativeCrypto()
})

/** The main network's rules with short windows, so that every automaton turns within seconds. */
const params = {
  ...presets.main,
  proofWindowEpochs: 3,
  strikesToEvict: 3,
  fillDeadlineEpochs: 8,
  minimumChargeEpochs: 8,
  vestingEpochs: 8,
  debtProofsMax: 25,
}

test('no attack of the catalogue beats honesty', () => {
  const outcomes = measure(attacks, { seed: 7, params, epochs: 36, slots: 8 })
  const winners = outcomes.filter(({ gain }) => gain > 36n)
  expect(winners).toEqual([])
  // What is compared is real: honest providers earn, and a cheat is told from its twin.
  const dropper = outcomes.find(({ attack }) => attack === 'drop everything')
  expect(dropper?.honest).toBeGreaterThan(0n)
  expect(dropper?.gain).toBeLessThan(0n)
})

test('in a market the honest earn, droppers do not, and minting stays below rho of burning', () => {
  const { kinds, points } = runMarket({ seed: 7, params, epochs: 24, slots: 4 }, 25)
  const [honest, ...others] = kinds
  expect(honest?.evicted).toBe(0)
  expect(honest?.least).toBeGreaterThan(0n)
  for (const { most } of others) expect(most).toBeLessThan(honest?.least as bigint)
  const last = points.at(-1)
  expect(last?.minted).toBeGreaterThan(0n)
  expect((last?.minted ?? 0n) * 2n).toBeLessThanOrEqual(last?.burnedService ?? 0n)
})

test('a market can be asked for without any attack', () => {
  const sizes = { epochs: 1, slots: 1, nodes: 4, days: 0.1 }
  const result = simulateEconomics({ seed: 7, count: 0, ...sizes })
  expect(result.attacks).toEqual([])
  expect(textReport(result).trimStart()).toMatch(/^market: /)
})
