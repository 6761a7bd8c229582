import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { presets } from '@ioex/genesis/presets'
import { logPath } from '../../cli/src/devnet/devnet-files.ts'
import { TestNetwork, until, untilHeight } from '../e2e/network-harness.ts'
import { Random } from '../sim/random.ts'
import { doubleVotes, differences, fourOf, heightOf } from './network-checks.ts'
import { SmallDisk } from './small-disk.ts'
import { reconfigure } from './validator-folder.ts'

const { epochBlocks: EPOCH } = presets.ci
const DEADLINE_MS = 120_000
const DISK_MIB = 64
const RESERVE_MIB = 4
const TIMES = 3
const AIM_MS = 2000

export interface DiskReport {
  readonly falsehoods: string[]
  /** How the process ended each time its disk was full: its last words. */
  readonly ends: string[]
  /** What a start without room was told. */
  readonly refusals: string[]
  readonly blocks: number
}

/** A validator's disk fills up while it runs, a few times, at a random moment each. */
export async function fullDisk(seed = 1): Promise<DiskReport> {
  // A new network namespace comes without.
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  const network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
  const random = new Random(seed)
  const report: DiskReport = { falsehoods: [], ends: [], refusals: [], blocks: 0 }
  const { falsehoods, ends, refusals } = report
  try {
    const { data } = network.options
    const [first, second, , victim] = fourOf(network)
    await untilHeight(first, EPOCH)
    await victim.stop()
    const folder = join(data, victim.name)
    await reconfigure(folder, () => ({
      signing: { watchTimeouts: 1, reserveMiB: RESERVE_MIB },
    }))
    const disk = await SmallDisk.under(folder, DISK_MIB)
    const logText = () => readFile(logPath(data, victim.name), 'utf8')
    await victim.start()
    for (let time = 0; time < TIMES; time++) {
      await untilHeight(victim, (await heightOf(first)) + 1, DEADLINE_MS)
      await setTimeout(random.between(0, AIM_MS))
      const said = (await logText()).length
      const before = await heightOf(victim)
      await disk.fill()
      await until('it to stop', async () => victim.state === 'failed', DEADLINE_MS)
      ends.push((await logText()).slice(said).trim().split('\n').at(-1) ?? '')
      // Others go on, and without room it does not start.
      await untilHeight(first, (await heightOf(first)) + EPOCH, DEADLINE_MS)
      await disk.fill()
      const refusal = await victim.start().then(
        () => 'it started',
        (error: unknown) => String(error),
      )
      refusals.push(refusal)
      await victim.kill()
      await disk.free()
      await victim.start()
      const after = await heightOf(victim)
      if (after < before) falsehoods.push(`final blocks lost: ${before} before, ${after} after`)
    }
    await untilHeight(victim, (await heightOf(first)) + 1, DEADLINE_MS)
    // Without another one its vote is needed.
    await second.kill()
    await untilHeight(first, (await heightOf(first)) + EPOCH, DEADLINE_MS)
    await second.start()
    const blocks = (await heightOf(first)) + 1
    const nodes = fourOf(network)
    await Promise.all(nodes.map((node) => untilHeight(node, blocks, DEADLINE_MS)))
    falsehoods.push(...(await differences(network, blocks)))
    await Promise.all(nodes.map((node) => node.stop()))
    falsehoods.push(...(await doubleVotes(network)))
    return { ...report, blocks }
  } finally {
    await network.stop()
    execFileSync('umount', ['--lazy', join(network.options.data, 'validator-4')])
    await network.destroy()
  }
}
