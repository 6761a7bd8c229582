import { InvalidArgumentError } from 'commander'
import { UNITS_PER_IOEX } from './amount.ts'

const DECIMALS = 12

/** What 1 IOEX is worth in some currency, exact: no float ever touches it. */
export interface Price {
  readonly text: string
  /** Times 10^12. */
  readonly scaled: bigint
}

/** A price on the command line, such as 0.042. */
export function readPrice(text: string): Price {
  const match = /^([0-9]{1,12})(?:\.([0-9]{1,12}))?$/.exec(text)
  if (!match) throw new InvalidArgumentError('give a number such as 0.042, up to 12 decimals')
  const scaled = BigInt(`${match[1]}${(match[2] ?? '').padEnd(DECIMALS, '0')}`)
  return { text, scaled }
}

/** Worth of so many units, with six decimals, the rest cut off. */
export function valueText(units: bigint, price: Price): string {
  const millionths = (units * price.scaled) / (UNITS_PER_IOEX * 10n ** BigInt(DECIMALS - 6))
  const digits = millionths.toString().padStart(7, '0')
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`
}
