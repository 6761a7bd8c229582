import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { beforeEach, describe, expect, test } from 'vitest'
import type { ChaosReport } from '../chaos/chaos-run.ts'
import type { CutReport } from '../chaos/cut-scenarios.ts'
import type { DiskReport } from '../chaos/disk-scenario.ts'
import { namespacesRefusal, spawnInNamespaces } from '../chaos/namespaces.ts'

const refusal = namespacesRefusal()
/** Promised for a third of the weight; a busy machine takes its own time. */
const HEALED_MS_MAX = 60_000

/** A script in namespaces of its own; what it says on stdout. */
async function report<T>(script: string, ...args: string[]): Promise<T> {
  const child = spawnInNamespaces(script, args, ['ignore', 'pipe', 'inherit'])
  if (!child.stdout) throw new Error('a pipe was asked for')
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  expect(code, said).toBe(0)
  return JSON.parse(said) as T
}

describe('four validators in namespaces of their own', () => {
  beforeEach((context) => {
    if (refusal !== undefined) {
      console.warn(refusal)
      context.skip(refusal)
    }
  })

  test('one cut off: three go on, it catches up and votes again', async () => {
    const { falsehoods, healedMs, blocks } = await report<CutReport>(
      'scenario-main.ts',
      'minorityCut',
    )
    expect(falsehoods).toEqual([])
    expect(healedMs).toBeLessThan(HEALED_MS_MAX)
    expect(blocks).toBeGreaterThan(0)
  })

  test('split in two: nobody finalises; together again they go on', async () => {
    const { falsehoods, healedMs } = await report<CutReport>('scenario-main.ts', 'evenSplit')
    expect(falsehoods).toEqual([])
    expect(healedMs).toBeLessThan(HEALED_MS_MAX)
  })

  test('a full disk stops a validator before a vote; with room again it goes on', async () => {
    const { falsehoods, ends, refusals } = await report<DiskReport>('scenario-main.ts', 'fullDisk')
    expect(falsehoods).toEqual([])
    for (const end of ends) expect(end).toContain('DISK_FULL')
    for (const said of refusals) expect(said).toMatch(/is full: free at least \d+ MiB/)
    expect(ends.length).toBeGreaterThan(1)
  })

  test('cut off, killed and paused at random they lose nothing and differ in nothing', async () => {
    // The first blow of this seed is a cut, the second one a kill.
    const size = ['--validators', '4', '--minutes', '0.5', '--every', '4', '--seed', '101']
    const { falsehoods, cuts } = await report<ChaosReport>('main.ts', ...size, '--inside', '--json')
    expect(falsehoods).toEqual([])
    expect(cuts).toBeGreaterThan(0)
  })
})
