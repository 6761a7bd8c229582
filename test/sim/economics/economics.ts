import { presets } from '../../../genesis/src/presets/presets.ts'
import { beaconAttacks } from './beacon-attacks.ts'
import { coalitionAttacks } from './coalition-attacks.ts'
import { type MarketResult, runMarket } from './market.ts'
import { lotteryAttacks } from './lottery-attacks.ts'
import { type Attack, measure, type Outcome } from './measure.ts'
import { payerAttacks } from './payer-attacks.ts'
import { providerAttacks } from './provider-attacks.ts'
import { repairAttacks } from './repair-attacks.ts'
import { validatorAttacks } from './validator-attacks.ts'

export const attacks: readonly Attack[] = [
  ...providerAttacks,
  ...beaconAttacks,
  ...payerAttacks,
  ...coalitionAttacks,
  ...validatorAttacks,
  ...lotteryAttacks,
  ...repairAttacks,
]

/** What to simulate. */
export interface EconomicsOptions {
  readonly seed: number
  readonly count: number
  /** Providers of the market; 0 leaves it out. */
  readonly nodes: number
  /** Of the main network's epochs, for the market. */
  readonly days: number
  /** Fraction of 2^64 below which a node is challenged in the attacks; undefined = always. */
  readonly rate?: bigint
  /** Epochs and slots of each attack. */
  readonly epochs: number
  readonly slots: number
  readonly progress?: (line: string) => void
}

/** An attack over all seeds, units. */
export interface AttackResult {
  readonly name: string
  readonly summary: string
  readonly honest: bigint
  readonly cheat: bigint
  /** Best gain of any seed: above 0 is a hole in the rules. */
  readonly bestGain: bigint
  /** Worst harm to both honest neighbours, any seed. */
  readonly worstHarm: bigint
  readonly meanGain: bigint
  readonly profits: boolean
}

/**
 * Units per epoch that two histories may differ by rounding: a subsidy is rounded down by less than
 * one unit, and who else redeems in its epoch decides by how much.
 */
const ROUNDING = 1n

export interface EconomicsResult {
  readonly seeds: readonly number[]
  readonly epochs: number
  readonly slots: number
  readonly attacks: readonly AttackResult[]
  readonly market: MarketResult | undefined
}

const EPOCHS_PER_DAY = 24
const MARKET_SLOTS = 4

/** Plays every attack over every seed by the rules of the main network, and a market. */
export function simulateEconomics(options: EconomicsOptions): EconomicsResult {
  const { seed, count, epochs, slots, nodes, rate, progress } = options
  const seeds = Array.from({ length: count }, (_, i) => seed + i)
  const params = presets.main
  const played = attacks.filter(({ needsProofs }) => rate === undefined || !needsProofs)
  const outcomes = seeds.flatMap((one) => {
    progress?.(`seed ${one}`)
    return measure(played, {
      seed: one,
      params,
      epochs,
      slots,
      ...(rate !== undefined && { rate }),
    })
  })
  const length = Math.round(options.days * EPOCHS_PER_DAY)
  const market = { seed, params, epochs: length, slots: MARKET_SLOTS }
  if (nodes > 0) progress?.(`market of ${nodes} nodes, ${length} epochs`)
  return {
    seeds,
    epochs,
    slots,
    attacks: (count === 0 ? [] : played).map((attack) =>
      resultOf(attack, outcomes, rate === undefined ? epochs : undefined),
    ),
    market: nodes > 0 ? runMarket(market, nodes) : undefined,
  }
}

/**
 * Where everybody is always challenged, luck is the same for a cheat and its twin: no seed may
 * profit. Where challenges are rare (no `epochs`), other names draw other luck: the mean over the
 * seeds may not be above 0 by more than two standard errors.
 */
function resultOf(
  { name, summary }: Attack,
  outcomes: readonly Outcome[],
  epochs: number | undefined,
): AttackResult {
  const own = outcomes.filter(({ attack }) => attack === name)
  const mean = (of: (outcome: Outcome) => bigint) =>
    own.reduce((sum, outcome) => sum + of(outcome), 0n) / BigInt(Math.max(1, own.length))
  const most = (of: (outcome: Outcome) => bigint) =>
    own.map(of).reduce((best, one) => (one > best ? one : best))
  const bestGain = most(({ gain }) => gain)
  const meanGain = mean(({ gain }) => gain)
  const gains = own.map(({ gain }) => Number(gain))
  return {
    name,
    summary,
    honest: mean(({ honest }) => honest),
    cheat: mean(({ cheat }) => cheat),
    bestGain,
    meanGain,
    worstHarm: most(({ harm }) => harm),
    profits:
      epochs === undefined
        ? Number(meanGain) > 2 * standardError(gains) + 1
        : bestGain > ROUNDING * BigInt(epochs),
  }
}

function standardError(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return Math.sqrt(squares / Math.max(1, values.length - 1) / values.length)
}
