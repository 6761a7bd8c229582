import type { JoinProgress } from '@ioex/chain/node'
import type { NodeHealth } from './health-server.ts'
import { gauge } from './metrics.ts'

/** What a monitor sees of a node that fetches a snapshot, before the node itself is up. */
export function joiningHealth(progress: () => JoinProgress): NodeHealth {
  return {
    isSyncing: () => true,
    hindrances() {
      const { epoch, chunks, chunksKnown } = progress()
      return [`joining by the snapshot of epoch ${epoch}: ${chunks} of ${chunksKnown} chunks`]
    },
    facts: () => Promise.resolve({ joining: progress() }),
    metrics() {
      const { chunks, chunksKnown } = progress()
      return Promise.resolve([
        gauge('join_chunks', 'Chunks of the snapshot that are here', chunks),
        gauge('join_chunks_known', 'Chunks of it that are known of so far', chunksKnown),
      ])
    },
  }
}
