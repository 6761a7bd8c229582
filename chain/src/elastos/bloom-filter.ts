import { assert } from '../bytes/assert.ts'

/** Largest filter that a node takes, bytes; as in BIP 37. */
export const FILTER_BYTES_MAX = 36_000
export const FILTER_FUNCTIONS_MAX = 50
/** Spread between the seeds of a filter's hash functions (BIP 37). */
const SEED_STEP = 0xfba4c795
const LN2 = Math.LN2
const RATE_MIN = 1e-9

/** What a peer asks a main node to show it; BIP 37's filter with murmur3. */
export interface BloomFilter {
  readonly bytes: Uint8Array
  readonly functions: number
  readonly tweak: number
}

/** MurmurHash3, 32 bits, x86 variant: the hash of BIP 37. */
function murmur3(seed: number, data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const tail = data.length & ~3
  let hash = seed >>> 0
  for (let at = 0; at < tail; at += 4) {
    hash ^= scrambled(view.getUint32(at, true))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let at = data.length - 1; at >= tail; at--) rest = (rest << 8) | (data[at] as number)
  if (data.length > tail) hash ^= scrambled(rest)
  hash ^= data.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scrambled(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/**
 * An empty filter for so many elements with this rate of false matches (BIP 37's sizes, with the
 * reference's rounding down).
 */
export function emptyBloomFilter(elements: number, rate: number, tweak: number): BloomFilter {
  assert(Number.isInteger(elements) && elements > 0, 'a filter is made for some elements')
  const chance = Math.min(1, Math.max(RATE_MIN, rate))
  const bits = Math.trunc((-1 / (LN2 * LN2)) * elements * Math.log(chance))
  const size = Math.min(Math.trunc(bits / 8), FILTER_BYTES_MAX)
  const functions = Math.min(Math.trunc((size * 8 * LN2) / elements), FILTER_FUNCTIONS_MAX)
  return { bytes: new Uint8Array(size), functions, tweak }
}

/** The filter with one element more. */
export function addToFilter(filter: BloomFilter, element: Uint8Array): BloomFilter {
  const bytes = Uint8Array.from(filter.bytes)
  for (const bit of bitsOf(filter, element)) {
    bytes[bit >>> 3] = (bytes[bit >>> 3] as number) | (1 << (bit & 7))
  }
  return { ...filter, bytes }
}

/** Whether the filter may hold the element; false is certain, true is not. */
export function filterMatches(filter: BloomFilter, element: Uint8Array): boolean {
  if (filter.bytes.length === 0) return false
  return bitsOf(filter, element).every(
    (bit) => ((filter.bytes[bit >>> 3] as number) & (1 << (bit & 7))) !== 0,
  )
}

function bitsOf(filter: BloomFilter, element: Uint8Array): number[] {
  const bits: number[] = []
  const count = filter.bytes.length * 8
  if (count === 0) return bits
  for (let i = 0; i < Math.min(filter.functions, FILTER_FUNCTIONS_MAX); i++) {
    const seed = (Math.imul(i, SEED_STEP) + filter.tweak) >>> 0
    bits.push(murmur3(seed, element) % count)
  }
  return bits
}
