import type { EpochValidator } from '../../chain/src/consensus/machine-interface.ts'

/** An invariant that does not hold. Everything else that throws is a bug of the machine, too. */
export class Violation extends Error {
  override name = 'Violation'
}

/** Members of an epoch's set. */
export type SetOf = (epoch: number) => readonly EpochValidator[]
