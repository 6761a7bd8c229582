import { bytesEqual } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { type Status, SyncAnswerType, SyncRequestKind, syncRequest } from './sync-messages.ts'

/** The peers that can be asked for blocks. */
export interface SyncPeers {
  peers(): readonly string[]
  /** Rejects on time-out (of the default, or this) or disconnect. */
  ask(
    peer: string,
    request: Uint8Array,
    answerBytesMax: number,
    timeoutMs?: number,
  ): Promise<Uint8Array>
}

/** How long a peer may take to say where it is, and how long its answer may be. */
const STATUS_TIMEOUT_MS = 3000
const STATUS_BYTES_MAX = 1024

/** Where a peer says that it is; undefined if it says nothing readable of this chain in 3 s. */
export async function askStatus(
  peers: SyncPeers,
  peer: string,
  chainId: Uint8Array,
): Promise<Status | undefined> {
  try {
    const request = syncRequest(SyncRequestKind.status)
    const bytes = await peers.ask(peer, request, STATUS_BYTES_MAX, STATUS_TIMEOUT_MS)
    const answer = decodeCanonical(SyncAnswerType, bytes, STATUS_BYTES_MAX)
    if (!answer.ok || !bytesEqual(answer.value.status.chainId, chainId)) return undefined
    return answer.value.status
  } catch {
    return undefined
  }
}
