import { type Outcome, World } from './world.ts'

/** One seeded history from start to verdict. The same seed gives the same outcome. */
export function runSeed(seed: number, trace?: (line: string) => void): Outcome {
  return new World(seed, trace).run(seed)
}
