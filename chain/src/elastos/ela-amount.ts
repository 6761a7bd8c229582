import { fault, ok, type Result } from '../bytes/result.ts'
import type { MainOutput } from './transaction-output.ts'

/** 1 ELA in sela. */
export const SELA_PER_ELA = 100_000_000n
/** What a cross-chain transfer leaves to the arbiters at least, sela (MinCrossChainTxFee). */
export const CROSS_CHAIN_FEE_MIN = 10_000n
/** More sela than can ever exist; a value above it is a forgery, not an amount. */
export const SELA_MAX = 10_000_000_000n * SELA_PER_ELA

/** RPC text of an amount: decimal with 8 digits, e.g. "0.20010000". */
export function formatEla(sela: bigint): string {
  const magnitude = sela < 0n ? -sela : sela
  const fraction = (magnitude % SELA_PER_ELA).toString().padStart(8, '0')
  return `${sela < 0n ? '-' : ''}${magnitude / SELA_PER_ELA}.${fraction}`
}

/** Reads an amount from an RPC or a person; at most 8 decimals, not negative. */
export function parseEla(text: string): Result<bigint> {
  const match = text.length <= 32 ? /^(\d{1,11})(?:\.(\d{1,8}))?$/.exec(text) : null
  if (!match) return fault('ELA_AMOUNT_MALFORMED', 'an amount is a decimal with up to 8 decimals')
  const sela = BigInt(match[1] as string) * SELA_PER_ELA + BigInt((match[2] ?? '').padEnd(8, '0'))
  if (sela > SELA_MAX) return fault('ELA_AMOUNT_MALFORMED', 'more ELA than exist')
  return ok(sela)
}

/**
 * Sum of output values with unbounded integers: a negative or impossible value is refused, so
 * that no sum wraps around 64 bits (the main chain's inflation hole of 2026).
 */
export function sumOutputs(outputs: readonly Pick<MainOutput, 'value'>[]): Result<bigint> {
  let sum = 0n
  for (const { value } of outputs) {
    if (value < 0n || value > SELA_MAX) {
      return fault('MAIN_OUTPUT_VALUE', 'an output value is negative or impossible')
    }
    sum += value
  }
  if (sum > SELA_MAX) return fault('MAIN_OUTPUT_VALUE', 'the outputs sum up to more than exists')
  return ok(sum)
}
