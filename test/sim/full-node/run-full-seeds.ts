import { installNativeCrypto } from '../../../chain/src/native/install-native-crypto.ts'
import { runFullSeed } from './full-world.ts'

export interface FullRun {
  readonly first: number
  readonly count: number
  readonly stop: boolean
  readonly trace: boolean
}

/** Histories of whole nodes for the command line; gives the exit code. */
export async function runFullSeeds({ first, count, stop, trace }: FullRun): Promise<number> {
  await installNativeCrypto()
  const started = performance.now()
  let blocks = 0
  let noticed = 0
  let failures = 0
  for (let seed = first; seed < first + count && failures < 10; seed++) {
    const outcome = await runFullSeed(seed, trace ? (line) => console.log(line) : undefined)
    blocks += outcome.height
    noticed += outcome.rotNoticed
    if (outcome.violation === undefined) continue
    failures += 1
    console.error(`seed ${seed}: ${outcome.violation}`)
    console.error(`replay: npm run sim -- --full-node --seed ${seed} --count 1 --trace`)
    if (stop) break
  }
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${count} seeds of whole nodes in ${seconds.toFixed(1)} s, ${blocks} blocks, ` +
      `${noticed} damaged stores refused, ${failures} failures`,
  )
  return failures === 0 ? 0 : 1
}
