import { Q_ALWAYS } from '../challenge.ts'
import { type Actor, actor, World } from './world.ts'

/** Units of the actor "payer" in a rich world. */
export const RICH = 10n ** 17n

/** Rates at which nobody, and everybody, is challenged. */
export const NEVER = { q1: 0n, q2: 0n }
export const ALWAYS = { q1: Q_ALWAYS, q2: Q_ALWAYS }

/** A world with a payer who has enough, in an epoch whose beacon is known. */
export function richWorld(...overrides: ConstructorParameters<typeof World>): World {
  const world = new World(...overrides)
  world.fund(actor('payer'), RICH)
  world.fixBeacon()
  return world
}

/** Lets epochs pass in which nobody is challenged, up to before `epoch`. */
export function quietUntil(world: World, epoch: number): void {
  while (world.epoch < epoch - 1) {
    world.nextEpoch(NEVER)
    world.fixBeacon()
  }
}

/** Passes a node's challenge of `epoch`, quiet before. */
export function proveIn(world: World, node: Actor, epoch: number, clear: number[] = []): void {
  quietUntil(world, epoch)
  world.nextEpoch(ALWAYS)
  world.fixBeacon()
  world.prove(node, clear)
}
