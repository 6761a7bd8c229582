import { zeroHash } from '@chainsafe/persistent-merkle-tree'
import { assert } from './assert.ts'
import { countChunk, denseDepth, hashPairs } from './dense-tree.ts'
import { HASH_BYTES, sha256 } from './hash.ts'

/** A field that fills one chunk of its container. */
interface ChunkField<T> {
  readonly name: keyof T & string
  write(output: ByteViews, at: number, value: unknown): void
}

/** What is asked of a container type of the SSZ library. */
interface ContainerFields {
  readonly fieldsEntries: readonly {
    readonly fieldName: PropertyKey
    readonly fieldType: {
      readonly fixedSize: number | null
      readonly maxChunkCount: number
      value_serializeToBytes(output: ByteViews, offset: number, value: never): number
    }
  }[]
}

interface ByteViews {
  readonly uint8Array: Uint8Array
  readonly dataView: DataView
}

/** Roots that stand in for a field of every record, 32 bytes each, in the records' order. */
export type FieldRoots = Readonly<Record<string, Uint8Array>>

const NO_FIELDS: FieldRoots = {}

/**
 * Roots of many records of one container at once, 32 bytes each: all fields into one buffer, then
 * level by level over all records in one native call. The same roots as the type's own; only for
 * containers whose every field is one chunk. Fields of other types are declared as Bytes32, and
 * their roots are given beside the records.
 */
export function flatRootsOf<T>(
  type: ContainerFields,
): (records: readonly T[], roots?: FieldRoots) => Uint8Array {
  const fields = chunkFields<T>(type)
  // Even at every level, so that the pairs of all records lie one after the other.
  const width = fields.length + (fields.length % 2)
  return (records, roots = NO_FIELDS) => {
    let row: Uint8Array = new Uint8Array(records.length * width * HASH_BYTES)
    if (records.length === 0) return row
    const output: ByteViews = { uint8Array: row, dataView: new DataView(row.buffer) }
    // Field by field: each loop calls one writer.
    for (const [f, { name, write }] of fields.entries()) {
      const given = roots[name]
      if (given) {
        copyChunks(given, row, f, width)
        continue
      }
      for (let r = 0; r < records.length; r++) {
        write(output, (r * width + f) * HASH_BYTES, (records[r] as T)[name])
      }
    }
    let nodes = width
    for (let level = 0; nodes > 1; level++) {
      const pairs = nodes / 2
      row = hashPairs(row)
      nodes = pairs === 1 ? 1 : pairs + (pairs % 2)
      if (nodes !== pairs) row = padded(row, pairs, level + 1)
    }
    return row
  }
}

function chunkFields<T>({ fieldsEntries }: ContainerFields): ChunkField<T>[] {
  return fieldsEntries.map(({ fieldName, fieldType }) => {
    const { fixedSize, maxChunkCount } = fieldType
    assert(fixedSize !== null && fixedSize <= HASH_BYTES && maxChunkCount === 1, 'a chunk a field')
    return {
      name: fieldName as keyof T & string,
      write: (output, at, value) =>
        void fieldType.value_serializeToBytes(output, at, value as never),
    }
  })
}

/** Puts one node for every record into its place `at` among `width`, as 32-bit words. */
function copyChunks(from: Uint8Array, to: Uint8Array, at: number, width: number): void {
  const source = new Int32Array(from.buffer, from.byteOffset, from.length / 4)
  const target = new Int32Array(to.buffer, to.byteOffset, to.length / 4)
  const words = HASH_BYTES / 4
  for (let r = 0; r * words < source.length; r++) {
    const start = (r * width + at) * words
    for (let w = 0; w < words; w++) target[start + w] = source[r * words + w] as number
  }
}

/** Gives each record of `width` nodes one zero node more. */
function padded(row: Uint8Array, width: number, level: number): Uint8Array {
  const bytes = width * HASH_BYTES
  const records = row.length / bytes
  const wider = new Uint8Array(records * (bytes + HASH_BYTES))
  for (let r = 0; r < records; r++) {
    const at = r * (bytes + HASH_BYTES)
    wider.set(row.subarray(r * bytes, (r + 1) * bytes), at)
    wider.set(zeroHash(level), at + bytes)
  }
  return wider
}

/** The SSZ root of a list of at most `limit` elements (a power of two) from their roots. */
export function listRoot(roots: Uint8Array, limit: number): Uint8Array {
  const count = roots.length / HASH_BYTES
  const depth = denseDepth(limit)
  assert(Number.isInteger(count) && count <= limit && 2 ** depth === limit, 'a list in its limit')
  return sha256(nodeOver(roots, 0, depth), countChunk(count))
}

/** The node of level `to` over a row of nodes of level `from`, behind which the tree is empty. */
export function nodeOver(nodes: Uint8Array, from: number, to: number): Uint8Array {
  let row: Uint8Array = nodes.length === 0 ? zeroHash(from) : nodes
  for (let level = from; level < to; level++) {
    const width = row.length / HASH_BYTES
    row = hashPairs(width % 2 === 0 ? row : padded(row, width, level))
  }
  return row
}

/**
 * Nodes of level `to`, each over one node of level `from` with nothing beside it: lists of one
 * element, or of few, climb to the height of their limit together.
 */
export function climbAlone(nodes: Uint8Array, from: number, to: number): Uint8Array {
  let row = nodes
  for (let level = from; level < to; level++) row = hashPairs(padded(row, 1, level))
  return row
}

/** Roots of values of an SSZ union: each root with its selector mixed in. */
function mixInSelector(roots: Uint8Array, selector: number): Uint8Array {
  const pairs = new Uint8Array(2 * roots.length)
  copyChunks(roots, pairs, 0, 2)
  for (let at = HASH_BYTES; at < pairs.length; at += 2 * HASH_BYTES) pairs[at] = selector
  return hashPairs(pairs)
}

interface UnionValue {
  readonly selector: number
  readonly value: unknown
}

/** Roots of values of an SSZ union, 32 bytes each; its commonest kind is hashed in one batch. */
export function unionRootsOf<U extends UnionValue, Often extends U['selector']>(
  union: { hashTreeRoot(value: U): Uint8Array },
  often: Often,
  rootsOfOften: (values: readonly Extract<U, { selector: Often }>['value'][]) => Uint8Array,
): (values: readonly U[]) => Uint8Array {
  return (values) => {
    const roots = new Uint8Array(values.length * HASH_BYTES)
    const batch: Extract<U, { selector: Often }>['value'][] = []
    const places: number[] = []
    for (const [i, each] of values.entries()) {
      if (each.selector === often) {
        batch.push(each.value)
        places.push(i)
      } else {
        roots.set(union.hashTreeRoot(each), i * HASH_BYTES)
      }
    }
    const mixed = mixInSelector(rootsOfOften(batch), often)
    for (const [b, i] of places.entries()) {
      roots.set(mixed.subarray(b * HASH_BYTES, (b + 1) * HASH_BYTES), i * HASH_BYTES)
    }
    return roots
  }
}
