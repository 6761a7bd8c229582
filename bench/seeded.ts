import { createCipheriv } from 'node:crypto'
import { sha256, utf8ToBytes } from '@ioex/chain/bytes'

/** Bytes that follow from a name and look random: the AES-256-CTR keystream under its hash. */
export function seededBytes(seed: string, length: number): Uint8Array {
  const cipher = createCipheriv('aes-256-ctr', sha256(utf8ToBytes(seed)), new Uint8Array(16))
  return new Uint8Array(cipher.update(new Uint8Array(length)))
}

/** Distinct whole numbers below `limit` in ascending order, drawn from a name. */
export function seededIndexes(seed: string, count: number, limit: number): number[] {
  const drawn = new Set<number>()
  for (let part = 0; drawn.size < count; part++) {
    const { buffer } = seededBytes(`${seed} ${part}`, 4 * count)
    for (const word of new Uint32Array(buffer)) {
      if (drawn.size < count) drawn.add(word % limit)
    }
  }
  return [...drawn].sort((a, b) => a - b)
}
