import { tableText } from '../cli/src/output/table.ts'
import type { Unmeasured } from './comparison.ts'
import type { Measurement } from './measure.ts'

const number = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 })

/** One line per measurement: the ratio first, because only it survives a change of machine. */
export function reportText(
  measurements: readonly (Measurement | Unmeasured)[],
  isTerminal: boolean,
): string {
  const columns = [
    { head: 'measurement' },
    { head: 'ratio', align: 'right' as const },
    { head: 'rounds', align: 'right' as const },
    { head: 'against' },
    { head: 'per CPU second', align: 'right' as const },
    { head: 'us each', align: 'right' as const },
    { head: 'result' },
  ]
  const rows = measurements.map((measured) => rowOf(measured))
  return tableText(columns, rows, isTerminal)
}

function rowOf(measured: Measurement | Unmeasured): string[] {
  if ('unmeasured' in measured) return [measured.name, '', '', measured.unmeasured, '', '', '']
  return [
    measured.name,
    measured.ratio.toFixed(3),
    measured.ratioRange.map((ratio) => ratio.toFixed(3)).join(' to '),
    measured.against.name,
    `${number.format(measured.rate)} ${measured.unit}`,
    number.format(measured.microsecondsPerUnit),
    measured.hash,
  ]
}
