import { type Outcome, World, type WorldOptions } from './world.ts'

/** One seeded history from start to verdict. The same seed gives the same outcome. */
export function runSeed(seed: number, options: WorldOptions = {}): Outcome {
  return new World(seed, options).run(seed)
}
