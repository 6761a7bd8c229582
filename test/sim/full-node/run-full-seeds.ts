import { installNativeCrypto } from '../../../chain/src/native/install-native-crypto.ts'
import { replayOf, runFullSeed, type Subject } from './full-world.ts'

export interface FullRun {
  readonly about: Subject
  readonly first: number
  readonly count: number
  readonly stop: boolean
  readonly trace: boolean
}

/** Histories of whole nodes for the command line; gives the exit code. */
export async function runFullSeeds(run: FullRun): Promise<number> {
  const { about, first, count, stop } = run
  const trace = run.trace ? (line: string) => console.log(line) : undefined
  await installNativeCrypto()
  const started = performance.now()
  let blocks = 0
  let noticed = 0
  let joined = 0
  let failures = 0
  for (let seed = first; seed < first + count && failures < 10; seed++) {
    const outcome = await runFullSeed(seed, { about, trace })
    blocks += outcome.height
    noticed += outcome.rotNoticed
    joined += outcome.joined
    if (outcome.violation === undefined) continue
    failures += 1
    console.error(`seed ${seed}: ${outcome.violation}`)
    console.error(`replay: ${replayOf(seed, about)}`)
    if (stop) break
  }
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${count} seeds of whole nodes in ${seconds.toFixed(1)} s, ${blocks} blocks, ` +
      `${noticed} damaged stores refused, ${joined} newcomers joined, ${failures} failures`,
  )
  return failures === 0 ? 0 : 1
}
