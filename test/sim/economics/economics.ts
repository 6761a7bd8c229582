import { presets } from '../../../genesis/src/presets/presets.ts'
import { coalitionAttacks } from './coalition-attacks.ts'
import { type MarketResult, runMarket } from './market.ts'
import { type Attack, measure, type Outcome } from './measure.ts'
import { payerAttacks } from './payer-attacks.ts'
import { providerAttacks } from './provider-attacks.ts'
import { repairAttacks } from './repair-attacks.ts'

export const attacks: readonly Attack[] = [
  ...providerAttacks,
  ...payerAttacks,
  ...coalitionAttacks,
  ...repairAttacks,
]

/** What to simulate. */
export interface EconomicsOptions {
  readonly seed: number
  readonly count: number
  /** Providers of the market; 0 leaves it out. */
  readonly nodes: number
  /** Of 30 days of the main network's epochs. */
  readonly months: number
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
  /** Best gain of any seed; not above `allowed`. */
  readonly bestGain: bigint
  readonly allowed: bigint
  readonly why: string
  readonly profits: boolean
}

export interface EconomicsResult {
  readonly seeds: readonly number[]
  readonly epochs: number
  readonly slots: number
  readonly attacks: readonly AttackResult[]
  readonly market: MarketResult | undefined
}

const EPOCHS_PER_MONTH = 720
const MARKET_SLOTS = 4

/** Plays every attack over every seed by the rules of the main network, and a market. */
export function simulateEconomics(options: EconomicsOptions): EconomicsResult {
  const { seed, count, epochs, slots, nodes, progress } = options
  const seeds = Array.from({ length: count }, (_, i) => seed + i)
  const params = presets.main
  const outcomes = seeds.flatMap((one) => {
    progress?.(`seed ${one}`)
    return measure(attacks, { seed: one, params, epochs, slots })
  })
  const length = Math.round(options.months * EPOCHS_PER_MONTH)
  const market = { seed, params, epochs: length, slots: MARKET_SLOTS }
  if (nodes > 0) progress?.(`market of ${nodes} nodes, ${length} epochs`)
  return {
    seeds,
    epochs,
    slots,
    attacks: attacks.map((attack) => resultOf(attack, outcomes)),
    market: nodes > 0 ? runMarket(market, nodes) : undefined,
  }
}

function resultOf({ name, summary, bounded }: Attack, outcomes: readonly Outcome[]): AttackResult {
  const own = outcomes.filter(({ attack }) => attack === name)
  const mean = (of: (outcome: Outcome) => bigint) =>
    own.reduce((sum, outcome) => sum + of(outcome), 0n) / BigInt(Math.max(1, own.length))
  const best = own.reduce((most, { gain }) => (gain > most ? gain : most), own[0]?.gain ?? 0n)
  const allowed = own[0]?.allowed ?? 0n
  return {
    name,
    summary,
    honest: mean(({ honest }) => honest),
    cheat: mean(({ cheat }) => cheat),
    bestGain: best,
    allowed,
    why: bounded?.why ?? '',
    profits: own.some(({ gain, allowed: most }) => gain > most),
  }
}
