import type { Result } from '@ioex/chain/bytes'
import { InvalidArgumentError, Option } from 'commander'
import { formatAmount, parseAmount } from './output/amount.ts'

/** Makes a parser of ours into one for commander's options and arguments. */
export function argument<T>(parse: (text: string) => Result<T>): (text: string) => T {
  return (text) => {
    const parsed = parse(text)
    if (!parsed.ok) throw new InvalidArgumentError(parsed.fault.message)
    return parsed.value
  }
}

/** A node on the command line: its index or its key's address. */
export function readNodeArgument(text: string): number | string {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : text
}

/** A whole number from 0. */
export function countArgument(text: string): number {
  if (!/^[0-9]{1,10}$/.test(text)) throw new InvalidArgumentError('give a whole number from 0')
  return Number(text)
}

/**
 * An option that takes epochs, or a duration such as 30d: text for readEpochCount, which the
 * command asks, so that a command line that only wants help loads nothing for it.
 */
export function epochsOption(flags: string, description: string, byDefault?: number): Option {
  const text = `${description}: a count, or a duration such as 30d`
  return new Option(flags, text).default(byDefault?.toString())
}

/** An option that takes an amount of IOEX, with a default that help can show. */
export function amountOption(flags: string, description: string, byDefault?: bigint): Option {
  const option = new Option(flags, description).argParser(argument(parseAmount))
  return byDefault === undefined ? option : option.default(byDefault, formatAmount(byDefault))
}
