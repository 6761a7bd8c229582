import { createHash } from 'node:crypto'
import { hashInto } from '@chainsafe/persistent-merkle-tree'
import { assert, concatBytes, sha256, SLOT_BLOCK_BYTES, SlotTreeBuilder } from '@ioex/chain/bytes'
import { encodeInto } from '@ioex/storage-node/erasure'
import { encodePack, packSecrets, packSource } from '@ioex/storage-node/sealing'
import { packGeometry } from '@ioex/storage-node/slicing'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { seededBytes } from './seeded.ts'

const MB = 1e6
const MIB = 2 ** 20
const CELL_BYTES = SLOT_BLOCK_BYTES
const MASTER = new Uint8Array(32).fill(1)
const SALT = new Uint8Array(32).fill(2)

type Code = readonly [k: number, n: number]
const codeName = ([k, n]: Code) => `code=${k}-of-${n}`

/** Files come in chunks of 1 MiB. */
async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB)
}

/**
 * A file to masked cells, as a put does it: check the content's hash, encrypt, seal, code, mask.
 * Every stored byte is hashed for its slot's root anyway; that is what the time is held against.
 */
async function encodedPack(code: Code, content: Uint8Array): Promise<Comparison> {
  const [k, n] = code
  const partSha256 = sha256(content)
  const contentKey = MASTER
  const open = () => chunksOf(content)
  const part = { name: 'file', bytes: content.length, partOffset: 0, contentKey, partSha256, open }
  const sealedManifest = seededBytes('sealed manifest', 500)
  const geometry = packGeometry(k, n, sealedManifest.length + content.length)
  assert(geometry.ok, 'a pack of this size has a geometry')
  const secrets = packSecrets(MASTER, SALT, { n, keySalt: SALT })
  const stripes = () => encodePack(geometry.value, secrets, packSource(sealedManifest, [part]))
  const hash = createHash('sha256')
  for await (const { cells } of stripes()) for (const cell of cells) hash.update(cell)
  const stored = seededBytes('stored', CELL_BYTES)
  const cells = Math.ceil((geometry.value.slotBytes * n) / CELL_BYTES)
  return {
    name: `storage-node/sealing::encode-pack/${codeName(code)}`,
    unit: 'MB of file',
    work: content.length / MB,
    subject: repeated(async () => {
      for await (const _ of stripes());
    }),
    against: {
      name: 'SHA-256 of the stored bytes',
      workload: repeated(() => {
        const stream = createHash('sha256')
        for (let cell = 0; cell < cells; cell++) stream.update(stored)
        return stream.digest()
      }),
    },
    result: hash.digest(),
    facts: { storedPerByte: Number((n / k).toFixed(2)) },
  }
}

/** The Merkle tree of a slot; two hashed bytes for every byte, less one pair. */
function slotTree(slot: Uint8Array): Comparison {
  const build = () => {
    const builder = new SlotTreeBuilder()
    for (let at = 0; at < slot.length; at += CELL_BYTES) {
      builder.append(slot.subarray(at, at + CELL_BYTES))
    }
    return builder.finish()
  }
  const parents = new Uint8Array(CELL_BYTES / 2)
  return {
    name: `chain/bytes::slot-tree/mebibytes=${Math.ceil(slot.length / MIB)}`,
    unit: 'MB of slot',
    work: slot.length / MB,
    subject: repeated(build),
    against: {
      name: 'as many pairs by hashInto',
      workload: repeated(() => {
        for (let at = 0; at < slot.length; at += CELL_BYTES) {
          // The levels above a row together have one pair less than it has.
          const row = slot.subarray(at, at + CELL_BYTES)
          hashInto(row, parents)
          hashInto(row, parents)
        }
      }),
    },
    result: build().root,
  }
}

/** Parity of stripes that stay in the cache. */
function reedSolomon(code: Code, stripes: number): Comparison {
  const [k, n] = code
  const cellOf = (i: number) => seededBytes(`cell ${i}`, CELL_BYTES)
  const data = Array.from({ length: k }, (_, i) => cellOf(i))
  const parity = Array.from({ length: n - k }, () => new Uint8Array(CELL_BYTES))
  const encodeStripes = () => {
    for (let stripe = 0; stripe < stripes; stripe++) encodeInto(k, n, data, parity)
  }
  encodeStripes()
  return {
    name: `storage-node/erasure::encode/${codeName(code)}`,
    unit: 'MB of data',
    work: (stripes * k * CELL_BYTES) / MB,
    subject: repeated(encodeStripes),
    against: {
      name: 'memcpy of the parity cells',
      workload: repeated(() => {
        for (let stripe = 0; stripe < stripes; stripe++) {
          parity.forEach((cell, i) => cell.set(data[i % k] as Uint8Array))
        }
      }),
    },
    result: sha256(concatBytes(...parity)),
  }
}

async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  const codes: Code[] = [
    [2, 6],
    [4, 12],
  ]
  const content = seededBytes('content of a pack', sized(scale, 300_000, 8 * MIB))
  for (const code of codes) yield await encodedPack(code, content)
  yield slotTree(seededBytes('slot', sized(scale, 2, 256) * CELL_BYTES))
  for (const code of [...codes, [10, 30]] as Code[]) yield reedSolomon(code, sized(scale, 1, 64))
}

export const encodePacks: Bench = {
  name: 'storage',
  about: 'encoding packs, slot trees and parity, against hashing and copying',
  comparisons,
}
