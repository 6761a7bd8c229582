import type { AbstractBatchOperation, AbstractLevel } from 'abstract-level'

/** LevelDB, or what stands in for it in memory; keys and values in the encoding `view`. */
export type Database = AbstractLevel<Uint8Array, Uint8Array, Uint8Array>
export type Operation = AbstractBatchOperation<Database, Uint8Array | string, Uint8Array | string>

/** The database gives Buffers, whose slices are views: a decoded value must own its bytes. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
