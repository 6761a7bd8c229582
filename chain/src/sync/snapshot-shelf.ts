/** Snapshots on a disk, those that are served and the one that is being fetched. */
export interface SnapshotShelf {
  /** Epochs whose snapshots are whole, newest first. */
  epochs(): Promise<number[]>
  /** Of a whole snapshot. */
  manifest(epoch: number): Promise<Uint8Array | undefined>
  chunk(epoch: number, ordinal: number): Promise<Uint8Array | undefined>
  put(epoch: number, ordinal: number, chunk: Uint8Array): Promise<void>
  remove(epoch: number, ordinal: number): Promise<void>
  /** Starts to fetch a snapshot, or goes on with it; forgets any other that is not whole. */
  begin(epoch: number, manifest: Uint8Array): Promise<void>
  /** The one that is being fetched. */
  unfinished(): Promise<{ epoch: number; manifest: Uint8Array } | undefined>
  /** Durable: all its chunks are there. Only the two newest snapshots are kept. */
  finish(epoch: number, manifest: Uint8Array): Promise<void>
}

/** Snapshots that a node keeps: one is complete while peers still fetch the one before. */
export const SNAPSHOTS_KEPT = 2
