import type { AttackResult } from './economics.ts'
import type { MarketResult } from './market.ts'
import { inPay } from './report.ts'

const ROW = 18
const NAMES = 250
const BARS = 420
const INK = '#333'
const LOSS = '#b5482f'
const GAIN = '#2f6fb5'

/**
 * What each attack gains beyond honesty, best seed, in epochs of a slot's pay: bars on a
 * logarithmic scale, losses to the left.
 */
export function attacksPicture(attacks: readonly AttackResult[]): string {
  const sizes = attacks.map(({ bestGain }) => Math.log10(1 + Math.abs(Number(inPay(bestGain)))))
  const scale = BARS / Math.max(1, ...sizes)
  const rows = attacks.flatMap(({ name, bestGain }, i) => {
    const y = 40 + i * ROW
    const isGain = bestGain > 0n
    const width = ((sizes[i] as number) * scale).toFixed(1)
    return [
      text(NAMES - 8, y + 12, name, 'end'),
      `<rect x="${NAMES}" y="${y + 2}" width="${width}" height="12" fill="${isGain ? GAIN : LOSS}"/>`,
      text(NAMES + Number(width) + 6, y + 12, inPay(bestGain), 'start'),
    ]
  })
  const title = text(
    10,
    20,
    "Gain over the honest twin, epochs of a slot's pay (log scale)",
    'start',
  )
  return picture(NAMES + BARS + 90, 56 + attacks.length * ROW, [title, ...rows])
}

/** Fees paid, burned and minted in a market over its epochs, each line with its last value. */
export function marketPicture({ points }: MarketResult): string {
  const lines = [
    { name: 'burned of fees', colour: LOSS, of: points.map((p) => Number(p.burnedService)) },
    { name: 'minted', colour: GAIN, of: points.map((p) => Number(p.minted)) },
    { name: 'burned as byte fees', colour: INK, of: points.map((p) => Number(p.burnedFees)) },
  ]
  const most = Math.max(1, ...lines.flatMap(({ of }) => of))
  const lastEpoch = Math.max(1, ...points.map(({ epoch }) => epoch))
  const drawn = lines.flatMap(({ name, colour, of }, i) => {
    const places = points.map(({ epoch }, at) => {
      const x = 60 + (480 * epoch) / lastEpoch
      return `${x.toFixed(1)},${(240 - (200 * (of[at] ?? 0)) / most).toFixed(1)}`
    })
    return [
      `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      `<rect x="70" y="${46 + i * ROW}" width="12" height="4" fill="${colour}"/>`,
      text(90, 52 + i * ROW, `${name}: ${((of.at(-1) ?? 0) / 1e8).toFixed(2)}`, 'start'),
    ]
  })
  return picture(600, 280, [
    text(10, 20, `Tokens burned and minted in ${lastEpoch} epochs, cumulative`, 'start'),
    '<path d="M60 40V240H540" fill="none" stroke="#999"/>',
    text(540, 260, `epoch ${lastEpoch}`, 'end'),
    ...drawn,
  ])
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end'): string {
  return `<text x="${x.toFixed(0)}" y="${y}" text-anchor="${anchor}" fill="${INK}">${content}</text>`
}

function picture(width: number, height: number, lines: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      `width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}
