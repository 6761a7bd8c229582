import type { Agent } from './scene.ts'
import { Scene, type Setting } from './scene.ts'
import { Provider } from './provider.ts'

/** One way to cheat, and what the same owner would do honestly. */
export interface Attack {
  readonly name: string
  /** What it tries, in a few words. */
  readonly summary: string
  readonly cheat: (setting: Setting) => Agent
  /** Honest owner of the same name and capacity; undefined = a provider that keeps everything. */
  readonly honest?: (setting: Setting) => Agent
  /** Cheats only where every epoch has its proof; else it is a thrift that anybody may have. */
  readonly needsProofs?: boolean
}

/** What one seed gave, units. */
export interface Outcome {
  readonly attack: string
  readonly seed: number
  readonly cheat: bigint
  readonly honest: bigint
  /** Profit of cheating beyond honesty: must not be above 0. */
  readonly gain: bigint
  /** What the honest providers beside the cheat earned less because of it. */
  readonly harm: bigint
}

/** The name under which every agent that is measured acts, so that luck is the same for all. */
export const MEASURED = 'measured'
const NEIGHBOURS = 2

interface History {
  readonly profit: bigint
  readonly neighbours: bigint
}

/** Runs an agent among honest providers of the same size. */
function history(setting: Setting, agent: Agent): History {
  const neighbours = Array.from({ length: NEIGHBOURS }, (_, i) => new Provider(`neighbour ${i}`))
  const scene = new Scene(setting, [agent, ...neighbours])
  scene.run()
  return {
    profit: scene.profit(agent),
    neighbours: neighbours.reduce((sum, one) => sum + scene.profit(one), 0n),
  }
}

/**
 * Plays the same history twice, with the same keys and beacons: once the agent cheats, once it is
 * its honest twin. Luck is in both alike, so that what differs is what cheating brought.
 */
export function measure(attacks: readonly Attack[], setting: Setting): Outcome[] {
  const keeper = history(setting, new Provider(MEASURED))
  return attacks.map(({ name, cheat, honest }) => {
    const cheated = history(setting, cheat(setting))
    const twin = honest ? history(setting, honest(setting)) : keeper
    return {
      attack: name,
      seed: setting.seed,
      cheat: cheated.profit,
      honest: twin.profit,
      gain: cheated.profit - twin.profit,
      harm: twin.neighbours - cheated.neighbours,
    }
  })
}
