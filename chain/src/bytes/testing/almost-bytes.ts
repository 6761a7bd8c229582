import fc from 'fast-check'

const MADE_UP_BYTES_MAX = 400

/** Input of a decoder: bytes that are made up, or almost those of a seed. */
export function bytesNear(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const madeUp = fc.uint8Array({ maxLength: MADE_UP_BYTES_MAX })
  return fc.oneof(madeUp, { weight: 3, arbitrary: almost(seeds) })
}

/** Cut, longer, or with a few bytes changed. */
function almost(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      seed: fc.constantFrom(...seeds),
      cut: fc.nat(),
      shorten: fc.boolean(),
      more: fc.uint8Array({ maxLength: 3 }),
      changes: fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { maxLength: 4 }),
    })
    .map(({ seed, cut, shorten, more, changes }) => {
      const kept = seed.slice(0, shorten ? cut % (seed.length + 1) : seed.length)
      const bytes = Uint8Array.of(...kept, ...more)
      for (const { at, byte } of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes
    })
}
