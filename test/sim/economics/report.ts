import { timeAmount } from '../../../chain/src/rules/settlement.ts'
import type { EconomicsResult } from './economics.ts'
import type { KindResult, MarketResult } from './market.ts'
import { SLOT_PRICE } from './scene.ts'

/** Pay of one slot for one epoch, units: what amounts are told in. */
const PAY = timeAmount(SLOT_PRICE, 1, 1)

/** An amount in epochs of a slot's pay. */
export function inPay(units: bigint): string {
  return (Number(units) / Number(PAY)).toFixed(1)
}

/** A result as a reader wants it: rows of equal columns. */
export function textReport(result: EconomicsResult): string {
  const { seeds, epochs, slots, attacks, market } = result
  const lines =
    attacks.length === 0
      ? []
      : [
          `${attacks.length} attacks, seeds ${seeds[0]} to ${seeds.at(-1)}, ${epochs} epochs, ` +
            `${slots} slots each; amounts in epochs of a slot's pay (${PAY} units)`,
          '',
          row('attack', 'honest', 'cheating', 'mean gain', 'best gain', 'harm', ''),
          ...attacks.map((one) =>
            row(
              one.name,
              inPay(one.honest),
              inPay(one.cheat),
              inPay(one.meanGain),
              inPay(one.bestGain),
              inPay(one.worstHarm),
              one.profits ? 'PROFITS' : '',
            ),
          ),
        ]
  return [...lines, ...(market ? marketLines(market) : [])].join('\n')
}

function row(name: string, ...cells: readonly string[]): string {
  return `${name.padEnd(34)}${cells.map((cell) => cell.padStart(11)).join('')}`.trimEnd()
}

function marketLines({ nodes, epochs, kinds, points, proofs }: MarketResult): string[] {
  const last = points.at(-1)
  const first = points[0]
  if (!last || !first) return []
  const change = Number(((last.supply - first.supply) * 1_000_000n) / first.supply) / 10_000
  return [
    '',
    `market: ${nodes} nodes, ${epochs} epochs, ${proofs} proofs; profit per node, same unit`,
    '',
    row('kind', 'nodes', 'evicted', 'least', 'mean', 'most'),
    ...kinds.map((kind: KindResult) =>
      row(
        kind.name,
        `${kind.nodes}`,
        `${kind.evicted}`,
        inPay(kind.least),
        inPay(kind.mean),
        inPay(kind.most),
      ),
    ),
    '',
    `paid ${last.paid}, burned ${last.burnedService} of fees, ${last.burnedFees} of byte fees, ` +
      `${last.burnedForfeit} of held pay, minted ${last.minted} (rho x burned at most), ` +
      `supply ${last.supply} (${change} %); every unit accounted for`,
  ]
}

/** JSON with amounts as decimal strings. */
export function jsonReport(result: EconomicsResult): string {
  return JSON.stringify(result, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
}
