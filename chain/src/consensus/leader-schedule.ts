import { assert } from '../bytes/assert.ts'
import { sha256 } from '../bytes/hash.ts'
import { fromHex, type Hex, utf8ToBytes } from '../bytes/hex.ts'
import type { EpochValidator } from './machine-interface.ts'

const ENTRIES_MAX = 1000

/**
 * Leaders of an epoch (docs/protocol/consensus.md, 1.4): a list that holds each validator in
 * proportion to its weight, shuffled by Fisher-Yates from the hash of the previous epoch's last
 * block. Leader of view v = list[v mod length].
 */
export function leaderSchedule(
  validators: readonly EpochValidator[],
  startHash: Hex,
  epoch: number,
): readonly number[] {
  const list = validators.flatMap((_, index) =>
    Array.from({ length: entriesOf(validators, index) }, () => index),
  )
  assert(list.length > 0, 'an epoch has at least one validator')
  const seed = sha256(utf8ToBytes('ioex/seed'), fromHex(startHash), littleEndian(epoch))
  for (let i = list.length - 1; i > 0; i--) {
    const digest = sha256(seed, littleEndian(i))
    const pick = Number(
      new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true) % BigInt(i + 1),
    )
    const swapped = list[i] as number
    list[i] = list[pick] as number
    list[pick] = swapped
  }
  return list
}

/** Exact proportions where they fit into the list, else rounded with at least one entry each. */
function entriesOf(validators: readonly EpochValidator[], index: number): number {
  const weights = validators.map(({ weight }) => weight)
  const divisor = weights.reduce(greatestCommonDivisor)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const weight = weights[index] as number
  if (total / divisor <= ENTRIES_MAX) return weight / divisor
  return 1 + Number((BigInt(weight) * BigInt(ENTRIES_MAX - weights.length)) / BigInt(total))
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

function littleEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}
