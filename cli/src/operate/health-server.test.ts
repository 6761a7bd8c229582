import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JoinProgress } from '@ioex/chain/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HealthServer, type NodeHealth, startHealthServer } from './health-server.ts'
import { joiningHealth } from './joining-health.ts'
import { counter, folderBytes, gauge, metricsText } from './metrics.ts'

describe('metrics', () => {
  test('each name once, in the text format of Prometheus', () => {
    const before = '# HELP ioex_peers Connected\n# TYPE ioex_peers gauge\nioex_peers 3'
    const text = metricsText(
      [gauge('peers', 'again', 4), counter('a_total', 'A', 1), counter('a_total', 'A', 2)],
      before,
    )
    expect(text).toBe(
      `${before}\n# HELP ioex_a_total A\n# TYPE ioex_a_total counter\nioex_a_total 1\n`,
    )
  })

  test('size of a folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ioex-size-'))
    await writeFile(join(folder, 'a'), 'abc')
    await writeFile(join(folder, 'b'), 'de')
    expect(await folderBytes(folder)).toBe(5)
    await rm(folder, { recursive: true })
    expect(await folderBytes(folder)).toBe(0)
  })
})

describe('health pages', () => {
  let state: { hindrances: string[]; isSyncing: boolean; isStarted: boolean }
  let server: HealthServer
  let joining: JoinProgress | undefined
  const health: NodeHealth = {
    hindrances: () => state.hindrances,
    isSyncing: () => state.isSyncing,
    facts: () => Promise.resolve({ height: 7 }),
    metrics: () => Promise.resolve([gauge('chain_height', 'Height', 7)]),
    metricsText: () => Promise.resolve('# TYPE ioex_other gauge\nioex_other 1\n'),
  }
  beforeAll(async () => {
    state = { hindrances: [], isSyncing: false, isStarted: true }
    server = await startHealthServer({
      host: '127.0.0.1',
      port: 0,
      dataFolder: tmpdir(),
      nodes() {
        const progress = joining
        if (progress) return [{ role: 'validator', health: joiningHealth(() => progress) }]
        return state.isStarted ? [{ role: 'peer', health }] : []
      },
    })
  })
  afterAll(() => server.close())
  const page = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${server.url}${path}`, init)
    return [response.status, await response.text()] as const
  }

  test('ready, syncing, hindered, starting', async () => {
    expect(await page('/livez')).toEqual([200, 'ok\n'])
    expect(await page('/readyz?verbose')).toEqual([200, 'ok\n'])
    expect(await page('/health')).toEqual([
      200,
      '{"status":"ok","hindrances":[],"nodes":[{"role":"peer","height":7}]}\n',
    ])
    state = { ...state, hindrances: ['no peers'] }
    expect(await page('/readyz')).toEqual([503, 'no peers\n'])
    expect((await page('/health'))[0]).toBe(503)
    state = { ...state, isSyncing: true }
    expect((await page('/health'))[0]).toBe(206)
    state = { hindrances: [], isSyncing: false, isStarted: false }
    expect(await page('/readyz')).toEqual([503, 'starting\n'])
    expect((await page('/livez'))[0]).toBe(200)
    state = { ...state, isStarted: true }
  })

  test('a node that fetches a snapshot is syncing, not starting', async () => {
    joining = { epoch: 7, chunks: 3, chunksKnown: 12 }
    const hindrance = 'joining by the snapshot of epoch 7: 3 of 12 chunks'
    expect(await page('/readyz')).toEqual([503, `${hindrance}\n`])
    const [status, text] = await page('/health')
    expect(status).toBe(206)
    expect(JSON.parse(text)).toEqual({
      status: 'syncing',
      hindrances: [hindrance],
      nodes: [{ role: 'validator', joining }],
    })
    expect((await page('/metrics'))[1]).toContain('ioex_join_chunks_known 12')
    joining = undefined
  })

  test('metrics of node, registry and process', async () => {
    const [status, text] = await page('/metrics')
    expect(status).toBe(200)
    for (const name of ['chain_height 7', 'other 1', 'disk_free_bytes', 'process_resident_bytes']) {
      expect(text).toContain(`ioex_${name}`)
    }
  })

  test('strangers, other methods and paths are refused', async () => {
    expect((await page('/', {}))[0]).toBe(404)
    expect((await page('/livez', { method: 'POST' }))[0]).toBe(405)
    const byName = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: 'evil.example' }
      request(`${server.url}/livez`, { headers }, (answer) => resolve(answer.statusCode))
        .on('error', reject)
        .end()
    })
    expect(byName).toBe(403)
  })
})
