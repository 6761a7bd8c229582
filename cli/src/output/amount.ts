import type { Result } from '@ioex/chain/bytes'

const DECIMALS = 8
/** The ledger's own number, said again: reading the command line must not load the ledger. */
export const UNITS_PER_IOEX = 10n ** BigInt(DECIMALS)

/** Units of an amount in IOEX with up to 8 decimals, e.g. "1.5"; exact, never through floats. */
export function parseAmount(text: string): Result<bigint> {
  const match = /^([0-9]{1,20})(?:\.([0-9]{1,8}))?(?: ?IOEX)?$/i.exec(text.trim())
  if (!match) {
    return malformed('AMOUNT_MALFORMED', `"${text}" is not an amount: give IOEX such as 12 or 0.5`)
  }
  const whole = BigInt(match[1] as string) * UNITS_PER_IOEX
  const units = whole + BigInt((match[2] ?? '').padEnd(DECIMALS, '0'))
  if (units === BigInt.asUintN(64, units)) return { ok: true, value: units }
  return malformed('AMOUNT_TOO_LARGE', `${text} IOEX do not exist`)
}

function malformed(code: string, message: string): Result<never> {
  return { ok: false, fault: { code, message } }
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
