import { fault, ok, type Result } from '@ioex/chain/bytes'

/** k data shards of n; any k restore, so n - k peers may vanish. */
export interface Redundancy {
  readonly k: number
  readonly n: number
}

/** From this many candidate peers on, a contract spreads over 30 of them. */
const WIDE_PEERS_MIN = 40
const WIDE_SHARDS = 30
const SHARDS = 12
/** Peers that a contract leaves free, so that a lost slot can be refilled elsewhere. */
const SPARE_PEERS = 2

/**
 * n = min(preset, peers - 2), k = max(1, n/3) (PROTOCOL 10): 8 peers give 2 of 6, 14 peers
 * 4 of 12, 40 peers 10 of 30. Fault PEERS_TOO_FEW below 3 candidates.
 */
export function chooseRedundancy(peers: number): Result<Redundancy> {
  const preset = peers >= WIDE_PEERS_MIN ? WIDE_SHARDS : SHARDS
  const n = Math.min(preset, peers - SPARE_PEERS)
  if (n < 1) {
    return fault('PEERS_TOO_FEW', `${peers} peers offer space; a contract needs at least 3`, {
      peers,
    })
  }
  return ok({ k: Math.max(1, Math.floor(n / 3)), n })
}
