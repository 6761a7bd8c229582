import pino from 'pino'
import { beforeEach, describe, expect, test } from 'vitest'
import { SyncWatch } from './sync-progress.ts'

let at: { height: number; target: number }
let lines: string[]
let watch: SyncWatch

beforeEach(() => {
  at = { height: 0, target: 0 }
  lines = []
  const write = (line: string) => void lines.push(JSON.parse(line).msg)
  watch = new SyncWatch(() => at, pino({}, { write }))
})

/** Seconds of steady growth, from where it is. */
function run(seconds: number, blocks: number, network = 1, fromMs = 0): void {
  for (let second = 0; second <= seconds; second++) {
    if (second > 0) at = { height: at.height + blocks, target: at.target + network }
    watch.sample(fromMs + second * 1000)
  }
}

describe('sync progress', () => {
  test('speed, and when the tip that goes on growing is reached', () => {
    at = { height: 0, target: 3600 }
    run(20, 61)
    const { height, target, ratio, blocksPerSecond, etaSeconds } = watch.progress
    expect([height, target, blocksPerSecond]).toEqual([1220, 3620, 61])
    expect(ratio).toBeCloseTo(1220 / 3620)
    expect(etaSeconds).toBe(2400 / 60)
    expect(watch.isSyncing).toBe(true)
  })

  test('one that is slower than the network never arrives', () => {
    at = { height: 10, target: 100 }
    run(20, 1, 1)
    expect(watch.progress.etaSeconds).toBeUndefined()
    run(20, 0, 1)
    expect(watch.progress.etaSeconds).toBeUndefined()
  })

  test('only the last minute counts', () => {
    at = { height: 0, target: 100_000 }
    run(60, 500, 0)
    run(61, 10, 0, 61_000)
    expect(watch.progress.blocksPerSecond).toBeCloseTo(10)
  })

  test('before the first measurement and at the tip', () => {
    expect(watch.progress).toMatchObject({ ratio: 1, blocksPerSecond: 0, etaSeconds: 0 })
    at = { height: 5, target: 6 }
    run(3, 1, 1)
    expect(watch.isSyncing).toBe(false)
    expect(lines).toEqual([])
  })

  test('is said every ten seconds while it syncs, and once at the end', () => {
    at = { height: 0, target: 3600 }
    run(25, 61)
    expect(lines).toHaveLength(3)
    expect(lines[2]).toBe('syncing: block 1220 of 3620 (33 %), left: 40s')
    at = { ...at, height: at.target }
    watch.sample(26_000)
    watch.sample(27_000)
    expect(lines.slice(3)).toEqual(['synced'])
  })
})
