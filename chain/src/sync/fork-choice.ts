import type { Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'

/** A run of proven checkpoints from genesis on, as some peers have it. */
export interface Branch {
  /** Checkpoint hashes of the epochs from the first that was asked for on. */
  readonly checkpoints: readonly Hex[]
}

/** A checkpoint seen in a main-chain block that is deep enough. */
export interface AnchoredCheckpoint {
  readonly checkpoint: Hex
  readonly mainHeight: number
  /** Place of the carrying transaction in its block. */
  readonly index: number
}

export interface Fork {
  /** First epoch in which certified branches differ: its validators signed both. */
  readonly epoch: number
  readonly checkpoints: readonly Hex[]
}

export interface ForkChoice<B extends Branch> {
  /** The longest branch of those that were chosen. */
  readonly branch: B
  /** Every fork met on the way: proof that a third of an epoch's validators is guilty. */
  readonly forks: readonly Fork[]
}

/**
 * Fork choice of a bootstrapping node (docs/protocol/sync.md 2.5). Where certified branches
 * differ, the one with the earliest anchored checkpoint from there on wins: keys whose stake is
 * gone can sign another past, but no anchor before the honest one. Faults with FORK_UNANCHORED
 * where the main chain knows none of them: then only an operator can decide.
 */
export function chooseBranch<B extends Branch>(
  branches: readonly B[],
  anchors: readonly AnchoredCheckpoint[],
  /** The epoch before the branches' first: genesis, or one that is trusted already. */
  trustedEpoch = 0,
): Result<ForkChoice<B>> {
  const places = placesOf(anchors)
  const forks: Fork[] = []
  let left = [...branches]
  for (;;) {
    const epoch = forkEpoch(left)
    if (epoch === undefined) break
    // Branches that end before the fork agree with every side of it.
    const sides = Map.groupBy(
      left.filter(({ checkpoints }) => checkpoints.length >= epoch),
      ({ checkpoints }) => checkpoints[epoch - 1] as Hex,
    )
    forks.push({ epoch: trustedEpoch + epoch, checkpoints: [...sides.keys()] })
    const first = earliestSide([...sides.values()], epoch, places)
    if (!first) {
      const facts = { epoch: trustedEpoch + epoch, branches: sides.size }
      return fault(
        'FORK_UNANCHORED',
        `certified branches differ at epoch ${facts.epoch} and the main chain has anchored none of them: ` +
          'an operator must decide which network to follow',
        facts,
      )
    }
    left = first
  }
  const branch = left.reduce((longest, each) =>
    each.checkpoints.length > longest.checkpoints.length ? each : longest,
  )
  return ok({ branch, forks })
}

type Place = Pick<AnchoredCheckpoint, 'mainHeight' | 'index'>

/** Earliest place by checkpoint. */
function placesOf(anchors: readonly AnchoredCheckpoint[]): ReadonlyMap<Hex, Place> {
  const places = new Map<Hex, Place>()
  for (const anchor of anchors) {
    const known = places.get(anchor.checkpoint)
    if (!known || isEarlier(anchor, known)) places.set(anchor.checkpoint, anchor)
  }
  return places
}

function isEarlier(a: Place, b: Place): boolean {
  return a.mainHeight < b.mainHeight || (a.mainHeight === b.mainHeight && a.index < b.index)
}

/** The first epoch in which two of them differ. */
function forkEpoch(branches: readonly Branch[]): number | undefined {
  const longest = Math.max(...branches.map(({ checkpoints }) => checkpoints.length))
  for (let epoch = 1; epoch <= longest; epoch++) {
    const hashes = new Set(
      branches.flatMap(({ checkpoints }) => checkpoints.slice(epoch - 1, epoch)),
    )
    if (hashes.size > 1) return epoch
  }
  return undefined
}

function earliestSide<B extends Branch>(
  sides: readonly B[][],
  epoch: number,
  places: ReadonlyMap<Hex, Place>,
): B[] | undefined {
  let best: { side: B[]; place: Place } | undefined
  for (const side of sides) {
    for (const { checkpoints } of side) {
      for (const checkpoint of checkpoints.slice(epoch - 1)) {
        const place = places.get(checkpoint)
        if (place && (!best || isEarlier(place, best.place))) best = { side, place }
      }
    }
  }
  return best?.side
}
