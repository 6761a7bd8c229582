import { type Bench, type Comparison, type Scale, sized } from './comparison.ts'
import { closes, ledgerOf } from './epoch-close.ts'
import { blocksOfEpoch } from './epoch-traffic.ts'

/** Of a hundred nodes one redeems in an epoch, and one takes a slot. */
const NODES_PER_REDEEM = 100

function* comparisons(scale: Scale): Generator<Comparison> {
  const sizes = scale.smoke ? [1000] : [1000, 100_000, ...(scale.full ? [1_000_000] : [])]
  for (const nodes of sizes) {
    const redeems = nodes / NODES_PER_REDEEM
    yield* closes(ledgerOf(nodes, redeems), redeems)
    const sample = sized(scale, 1, 32)
    // 16 slots of 64 MiB: the least that class 1 holds.
    const shape = { nodes, sample, rails: 16, leaves: sized(scale, 2 ** 10, 2 ** 18) }
    yield* blocksOfEpoch(shape, redeems)
  }
}

export const scale: Bench = {
  name: 'scale',
  about: 'close of an epoch, and what an epoch of proofs and redeems costs, by nodes',
  comparisons,
}
