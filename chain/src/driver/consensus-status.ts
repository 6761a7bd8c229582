import type { MachineState } from '../consensus/machine-state.ts'

export interface ConsensusStatus {
  readonly epoch: number
  readonly view: number
  /** Newest view known to be final; commits may still wait for blocks. */
  readonly finalView: number
  readonly height: number
  /** Index in the epoch's validator set. */
  readonly validator: number | undefined
  /** Votes of views of this epoch above this one are signed; undefined: none at all. */
  readonly votesAbove: number | undefined
}

/** What a status page says of a machine. */
export function statusOf({ config, view, finalView, tree }: MachineState): ConsensusStatus {
  const { setup, self, signAbove } = config
  const mute = self === undefined || signAbove === Number.MAX_SAFE_INTEGER
  return {
    epoch: setup.epoch,
    view,
    finalView,
    height: tree.head.header.height,
    validator: self,
    votesAbove: mute ? undefined : signAbove,
  }
}
