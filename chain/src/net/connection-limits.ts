import type { Connection, ConnectionGater } from '@libp2p/interface'

/** Connections that nodes may open to us which our operator did not name as peers. */
export const STRANGERS_MAX = 200
/** Of one peer: both sides may dial at once, and a cut one is noticed late. */
const PER_PEER_MAX = 4
/** Connections for which there is room beside those of strangers and of named peers. */
const SPARE = 64

export interface ConnectionLimitsOptions {
  /** Peer ids that the operator named. */
  readonly named: ReadonlySet<string>
  readonly strangersMax: number
  readonly connections: () => readonly Pick<Connection, 'remotePeer' | 'direction'>[]
}

/**
 * Who may connect to us. Names are free: without a share of their own, strangers would take all the
 * places and a validator that restarts would find none; and what one stream may cost is multiplied
 * by the connections of its peer.
 */
export function connectionGater(options: ConnectionLimitsOptions): ConnectionGater {
  const { named, strangersMax, connections } = options
  return {
    denyInboundUpgradedConnection: (peerId) => {
      const id = peerId.toString()
      const all = connections().map(({ remotePeer, direction }) => ({
        peer: remotePeer.toString(),
        direction,
      }))
      if (all.filter(({ peer }) => peer === id).length >= PER_PEER_MAX) return true
      if (named.has(id)) return false
      const strangers = all.filter((each) => each.direction === 'inbound' && !named.has(each.peer))
      return strangers.length >= strangersMax
    },
  }
}

/** So many that the share of strangers is always reached first. */
export function connectionsMax({ named, strangersMax }: ConnectionLimitsOptions): number {
  return strangersMax + PER_PEER_MAX * named.size + SPARE
}
