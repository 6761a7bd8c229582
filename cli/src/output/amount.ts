import { fault, ok, type Result } from '@ioex/chain/bytes'
import { U64_MAX, UNITS_PER_IOEX } from '@ioex/chain/types'

const DECIMALS = 8

/** Units of an amount in IOEX with up to 8 decimals, e.g. "1.5"; exact, never through floats. */
export function parseAmount(text: string): Result<bigint> {
  const match = /^([0-9]{1,20})(?:\.([0-9]{1,8}))?(?: ?IOEX)?$/i.exec(text.trim())
  if (!match) {
    return fault('AMOUNT_MALFORMED', `"${text}" is not an amount: give IOEX such as 12 or 0.5`)
  }
  const whole = BigInt(match[1] as string) * UNITS_PER_IOEX
  const units = whole + BigInt((match[2] ?? '').padEnd(DECIMALS, '0'))
  return units > U64_MAX ? fault('AMOUNT_TOO_LARGE', `${text} IOEX do not exist`) : ok(units)
}

/** Units as IOEX without needless zeros, thousands apart: "1,234.5". */
export function formatAmount(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(DECIMALS + 1, '0')
  const whole = digits.slice(0, -DECIMALS).replace(/\B(?=(\d{3})+$)/g, ',')
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${whole}${fraction && `.${fraction}`}`
}

/** With its unit: "1.5 IOEX". */
export function formatIoex(units: bigint | string): string {
  return `${formatAmount(BigInt(units))} IOEX`
}
