import type { ConsensusEvent } from '../consensus/machine-interface.ts'
import type { BlockBytes } from './block-exchange.ts'

/** An event for the machine, with the body of the block that it is about where that is new. */
export interface MachineInput {
  readonly event: ConsensusEvent
  readonly block?: BlockBytes
}
