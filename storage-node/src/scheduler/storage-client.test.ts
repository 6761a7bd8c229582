import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { StorageWorld } from '../node/testing/storage-world.ts'
import type { TransferProgress } from './transfer-progress.ts'

const MIB = 1024 * 1024
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
let world: StorageWorld

async function sourceFile(name: string, bytes: Uint8Array): Promise<string> {
  await mkdir(join(world.folder, 'source'), { recursive: true })
  const path = join(world.folder, 'source', name)
  await writeFile(path, bytes)
  return path
}

const inWorld = (name: string) => join(world.folder, name)
const same = async (path: string, bytes: Uint8Array) =>
  Buffer.compare(await readFile(path), bytes) === 0

describe('put, list and get over eight real peers', () => {
  beforeAll(async () => {
    world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60 } })
    await world.startPeers(8)
  })
  afterAll(() => world.stop())

  test('several files of odd sizes and names share one contract and come back', async () => {
    const client = await world.client('alice')
    const contents = new Map<string, Uint8Array>([
      ['empty', new Uint8Array(0)],
      ['one', Uint8Array.of(7)],
      ['家庭/照片 2026.jpg', randomBytes(300_000)],
      ['deep/er/file.bin', randomBytes(2 * MIB + 1)],
    ])
    const files = []
    for (const [path, bytes] of contents) {
      files.push({ source: await sourceFile(`f${files.length}`, bytes), path })
    }
    await utimes(files[2]?.source ?? '', 1_600_000_000, 1_600_000_000)
    const seen: TransferProgress[] = []
    const put = await client.put({
      files,
      termEpochs: 100,
      onProgress: (progress) => seen.push(progress),
    })
    expect(put).toMatchObject({ k: 2, n: 6 })
    expect(put.contracts).toHaveLength(1)
    expect(new Set(put.nodes).size).toBe(6)
    expect(new Set(seen.map(({ phase }) => phase))).toEqual(
      new Set(['reading', 'opening', 'sending', 'confirming', 'done']),
    )
    expect(seen.at(-1)).toMatchObject({ bytes: put.bytes, bytesTotal: put.bytes })
    const listed = await client.list()
    expect(new Map(listed.map(({ path, size }) => [path, size]))).toEqual(
      new Map([...contents].map(([path, bytes]) => [path, bytes.length])),
    )
    for (const [path, bytes] of contents) {
      const target = inWorld(`out/${bytes.length}`)
      const got = await client.get({ path, target })
      expect(got.bytes).toBe(bytes.length)
      expect(await same(target, bytes)).toBe(true)
    }
    expect((await stat(inWorld('out/300000'))).mtimeMs).toBe(1_600_000_000_000)
    // No part files stay behind.
    expect((await readdir(inWorld('out'))).filter((name) => name.includes('.part'))).toEqual([])
  })

  test('another device with the same owner key finds everything on the chain', async () => {
    const stranger = await world.client('stranger', keyOf('bob'))
    expect(await stranger.list()).toEqual([])
    const recovered = await world.client('new-phone')
    const names = (await recovered.list()).map(({ path }) => path)
    expect(names).toContain('家庭/照片 2026.jpg')
    const target = inWorld('recovered')
    const { sha256 } = await recovered.get({ path: 'deep/er/file.bin', target })
    expect(sha256).toBe((await recovered.list()).find(({ size }) => size > MIB)?.sha256)
  })

  test('any byte range is read, paid only for what it needs', async () => {
    const client = await world.client('alice')
    const bytes = randomBytes(1_500_000)
    const source = await sourceFile('ranges', bytes)
    await client.put({ files: [{ source, path: 'ranges' }], termEpochs: 100 })
    const whole = { from: 0, to: bytes.length }
    for (const { from, to } of [whole, { from: 0, to: 1 }, { from: 65_000, to: 66_000 }]) {
      const target = inWorld(`range-${from}-${to}`)
      await client.get({ path: 'ranges', target, range: { from, to } })
      expect(await same(target, bytes.subarray(from, to))).toBe(true)
    }
    const tail = { from: bytes.length - 3, to: bytes.length }
    const got = await client.get({ path: 'ranges', target: inWorld('tail'), range: tail })
    expect(await same(inWorld('tail'), bytes.subarray(-3))).toBe(true)
    // One stripe of k = 2 cells, not the file.
    expect(got.paidKib).toBeLessThan(2 * 66 + 2)
    const outside = { from: 0, to: bytes.length + 1 }
    const failure = client.get({ path: 'ranges', target: inWorld('x'), range: outside })
    await expect(failure).rejects.toMatchObject({ code: 'RANGE' })
  })

  test('a file larger than a pack spans several contracts on the same peers', async () => {
    const client = await world.client('alice', keyOf('alice'), { packBytes: MIB })
    const bytes = randomBytes(3 * MIB + 7)
    const source = await sourceFile('big', bytes)
    const put = await client.put({ files: [{ source, path: 'big' }], termEpochs: 100 })
    expect(put.contracts).toHaveLength(4)
    await client.get({ path: 'big', target: inWorld('big.out') })
    expect(await same(inWorld('big.out'), bytes)).toBe(true)
    const range = { from: MIB - 5000, to: 2 * MIB + 5000 }
    await client.get({ path: 'big', target: inWorld('big.mid'), range })
    expect(await same(inWorld('big.mid'), bytes.subarray(range.from, range.to))).toBe(true)
  })

  test('a new version replaces the old one, and a removal hides it', async () => {
    const client = await world.client('alice')
    const put = async (text: string) => {
      const source = await sourceFile('note', Buffer.from(text))
      await client.put({ files: [{ source, path: 'note' }], termEpochs: 100 })
    }
    await put('first')
    await put('second, longer')
    await client.get({ path: 'note', target: inWorld('note.out') })
    expect(await readFile(inWorld('note.out'), 'utf8')).toBe('second, longer')
    await client.put({ files: [], remove: ['note'], termEpochs: 100 })
    expect((await client.list()).some(({ path }) => path === 'note')).toBe(false)
    const gone = client.get({ path: 'note', target: inWorld('note.gone') })
    await expect(gone).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('an interrupted put goes on with the same contract and only sends what lacks', async () => {
    const client = await world.client('interrupted')
    const bytes = randomBytes(24 * MIB)
    const source = await sourceFile('interrupted', bytes)
    const request = { files: [{ source, path: 'interrupted' }], termEpochs: 100 }
    const stop = new AbortController()
    const first = client.put({
      ...request,
      signal: stop.signal,
      onProgress: ({ phase, bytes: sent }) => {
        if (phase === 'sending' && sent > 18 * MIB) stop.abort()
      },
    })
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    const [unfinished] = await client.unfinished()
    expect(unfinished?.paths).toEqual(['interrupted'])
    const received = async () => {
      const statuses = await Promise.all([...world.peers.values()].map((peer) => peer.status()))
      return statuses.reduce((sum, { bytesIn }) => sum + bytesIn, 0)
    }
    const before = await received()
    const put = await client.put(request)
    expect(put.contracts).toEqual(unfinished?.contracts)
    // Six slots of 12 MiB; what was synced before the interruption is not sent again.
    expect((await received()) - before).toBeLessThan(6 * 12.5 * MIB)
    expect(await client.unfinished()).toEqual([])
    await client.get({ path: 'interrupted', target: inWorld('interrupted.out') })
    expect(await same(inWorld('interrupted.out'), bytes)).toBe(true)
  })

  test('an interrupted get goes on from its part file', async () => {
    const client = await world.client('interrupted')
    const stop = new AbortController()
    const target = inWorld('resumed.out')
    const first = client.get({
      path: 'interrupted',
      target,
      signal: stop.signal,
      onProgress: ({ bytes }) => {
        if (bytes > 10 * MIB) stop.abort()
      },
    })
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    let start: number | undefined
    await client.get({
      path: 'interrupted',
      target,
      onProgress: ({ bytes }) => {
        start ??= bytes
      },
    })
    expect(start).toBeGreaterThan(9 * MIB)
    expect(await same(target, await readFile(join(world.folder, 'source', 'interrupted')))).toBe(
      true,
    )
  })

  test('says what is wrong in words and stable codes', async () => {
    const client = await world.client('alice')
    const source = await sourceFile('small', randomBytes(10))
    const put = (changes: object) =>
      client.put({ files: [{ source, path: 'small' }], termEpochs: 10, ...changes })
    const missing = put({ files: [{ source: inWorld('nowhere'), path: 'x' }] })
    await expect(missing).rejects.toMatchObject({ code: 'FILE_MISSING' })
    const outside = put({ files: [{ source, path: '../x' }] })
    await expect(outside).rejects.toMatchObject({ code: 'PATH' })
    const many = put({ redundancy: { k: 4, n: 12 } })
    await expect(many).rejects.toMatchObject({ code: 'PEERS_TOO_FEW' })
    const unknown = client.get({ path: 'no such file', target: inWorld('x') })
    await expect(unknown).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const poor = await world.client('poor', keyOf('beggar'))
    const unpaid = poor.put({ files: [{ source, path: 'small' }], termEpochs: 10 })
    await expect(unpaid).rejects.toMatchObject({ code: 'CHAIN_REFUSED' })
  })
})

describe('traffic locks that are used up', () => {
  beforeEach(async () => {
    world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60 } })
    await world.startPeers(3)
  })
  afterEach(() => world.stop())

  /** Its locks pay 4 MiB: one read of each slot, and no second one. */
  async function putOnce(redundancy: { k: number; n: number }) {
    const client = await world.client('alice')
    const bytes = randomBytes(3 * MIB * redundancy.k)
    const source = await sourceFile('once', bytes)
    await client.put({
      files: [{ source, path: 'once' }],
      termEpochs: 100,
      redundancy,
      reads: 1,
    })
    const get = async (topUpMax?: bigint) => {
      const target = inWorld('got')
      const result = await client.get({ path: 'once', target, topUpMax })
      expect(await same(target, bytes)).toBe(true)
      return result
    }
    return get
  }

  test('are topped up by who reads, as far as the read needs and no further than allowed', async () => {
    const get = await putOnce({ k: 2, n: 2 })
    expect(await get()).toMatchObject({ toppedUpUnits: 0n, toppedUpRails: 0, peersLost: 0 })
    const before = await lockOf(0)
    await expect(get(0n)).rejects.toMatchObject({
      code: 'TOP_UP_LIMIT',
      message: expect.stringContaining('0 of 0 may still be added: raise the limit'),
    })
    expect(await lockOf(0)).toBe(before)
    const paid = await get()
    expect(paid).toMatchObject({ toppedUpRails: 2, peersLost: 0 })
    expect((await lockOf(0)) - before + (await lockOf(1)) - before).toBe(paid.toppedUpUnits)
    // Not more than one read and the least top-up for each.
    expect(paid.toppedUpUnits).toBeLessThanOrEqual(2n * before)
  })

  test('cost nothing while other peers have the data', async () => {
    const get = await putOnce({ k: 1, n: 3 })
    for (let read = 0; read < 3; read++) expect((await get(0n)).toppedUpUnits).toBe(0n)
    await expect(get(0n)).rejects.toMatchObject({ code: 'TOP_UP_LIMIT' })
    expect(await get()).toMatchObject({ toppedUpRails: 1 })
  })

  async function lockOf(slot: number): Promise<bigint> {
    const rail = (await world.chain.contract(0))?.rails[slot]?.rail
    return (await world.chain.rail(rail ?? -1))?.lockUnits ?? -1n
  }
})

describe('peers that fail', () => {
  beforeEach(async () => {
    world = await StorageWorld.start()
  })
  afterEach(() => world.stop())

  test('a file comes back after n - k of its peers died', async () => {
    await world.startPeers(8)
    const client = await world.client('alice')
    const bytes = randomBytes(5 * MIB + 12345)
    const source = await sourceFile('video', bytes)
    const put = await client.put({ files: [{ source, path: 'video' }], termEpochs: 50 })
    const dead = await world.stopPeersByKey(put.nodes.slice(0, 4))
    expect(dead).toHaveLength(4)
    const target = inWorld('restored')
    const fresh = await world.client('other-device')
    const got = await fresh.get({ path: 'video', target })
    expect(got).toMatchObject({ peers: 2, relayed: 0 })
    expect(await same(target, bytes)).toBe(true)
    await world.stopPeersByKey(put.nodes.slice(4, 5))
    const last = fresh.get({ path: 'video', target: inWorld('not') })
    await expect(last).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
  })

  test('a put whose contract lapsed before it went on opens another one', async () => {
    await world.startPeers(4)
    const client = await world.client('lapsed')
    const bytes = randomBytes(3 * MIB)
    const source = await sourceFile('lapsed', bytes)
    const request = { files: [{ source, path: 'lapsed' }], termEpochs: 100 }
    const stop = new AbortController()
    const first = client.put({
      ...request,
      signal: stop.signal,
      onProgress: ({ phase }) => {
        if (phase === 'sending') stop.abort()
      },
    })
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    const [unfinished] = await client.unfinished()
    expect(unfinished?.contracts).toHaveLength(1)
    world.chain.runEpochs(5)
    const put = await client.put(request)
    expect(put.contracts).not.toEqual(unfinished?.contracts)
    await client.get({ path: 'lapsed', target: inWorld('lapsed.out') })
    expect(await same(inWorld('lapsed.out'), bytes)).toBe(true)
  })

  test('a put whose contract lapses under its hands opens another one by itself', async () => {
    await world.startPeers(4)
    const client = await world.client('overtaken')
    const bytes = randomBytes(3 * MIB)
    const source = await sourceFile('overtaken', bytes)
    const lapsed: number[] = []
    let overtaken = false
    const put = await client.put({
      files: [{ source, path: 'overtaken' }],
      termEpochs: 100,
      onProgress: ({ phase }) => {
        // The machine is so busy that the fill deadline passes before any byte is there.
        if (phase === 'sending' && !overtaken) world.chain.runEpochs(5)
        overtaken ||= phase === 'sending'
      },
      onLapse: (contracts) => lapsed.push(...contracts),
    })
    expect(lapsed).toHaveLength(1)
    expect(put.contracts).toHaveLength(1)
    expect(put.contracts).not.toEqual(lapsed)
    // Its locks came back when the put was done.
    expect((await world.chain.contract(lapsed[0] as number))?.live).toBe(false)
    await client.get({ path: 'overtaken', target: inWorld('overtaken.out') })
    expect(await same(inWorld('overtaken.out'), bytes)).toBe(true)
  })

  test('a put that is overtaken again and again gives up, and says what it means', async () => {
    await world.startPeers(4)
    const client = await world.client('hopeless')
    const source = await sourceFile('hopeless', randomBytes(100_000))
    const lapsed: number[] = []
    let phaseBefore = ''
    const put = client.put({
      files: [{ source, path: 'hopeless' }],
      termEpochs: 100,
      onProgress: ({ phase }) => {
        if (phase === 'sending' && phaseBefore !== 'sending') world.chain.runEpochs(5)
        phaseBefore = phase
      },
      onLapse: (contracts) => lapsed.push(...contracts),
    })
    const inactive = { code: 'CONTRACT_INACTIVE', message: expect.stringContaining('come back') }
    await expect(put).rejects.toMatchObject(inactive)
    expect(lapsed).toHaveLength(2)
  })

  test('a peer that dies in the middle of an upload is replaced', async () => {
    await world.startPeers(6)
    const client = await world.client('alice')
    const bytes = randomBytes(8 * MIB)
    const source = await sourceFile('upload', bytes)
    let stopping: Promise<void> | undefined
    const put = await client.put({
      files: [{ source, path: 'upload' }],
      redundancy: { k: 2, n: 4 },
      termEpochs: 50,
      onProgress: ({ phase, bytes: sent }) => {
        if (phase === 'sending' && sent > 2 * MIB) stopping ??= stopBusiestPeer()
      },
    })
    await stopping
    const alive = [...world.peers.values()].map(({ nodeKey }) => bytesToHex(nodeKey))
    expect(put.nodes.every((key) => alive.includes(key))).toBe(true)
    expect(put.nodes).toHaveLength(4)
    await client.get({ path: 'upload', target: inWorld('upload.out') })
    expect(await same(inWorld('upload.out'), bytes)).toBe(true)
  })

  test('a peer that gives wrong bytes is found out and replaced', async () => {
    await world.startPeers(4)
    const client = await world.client('alice')
    const bytes = randomBytes(3 * MIB)
    const source = await sourceFile('rot', bytes)
    const put = await client.put({
      files: [{ source, path: 'rot' }],
      redundancy: { k: 1, n: 2 },
      termEpochs: 50,
    })
    // The first slot is what a reader asks for first; all of its bytes rot on the disk.
    const [name] = [...world.peers].find(
      ([, { nodeKey }]) => bytesToHex(nodeKey) === put.nodes[0],
    ) as [string, unknown]
    const [slot] = await readdir(inWorld(`${name}/slots`))
    const path = inWorld(`${name}/slots/${slot}/data`)
    const stored = await readFile(path)
    await writeFile(path, stored.fill(1, MIB))
    const fresh = await world.client('other-device')
    const got = await fresh.get({ path: 'rot', target: inWorld('rot.out') })
    expect(got.peersLost).toBeGreaterThan(0)
    expect(await same(inWorld('rot.out'), bytes)).toBe(true)
  })
})

/** Stops a peer that is receiving a slot. */
async function stopBusiestPeer(): Promise<void> {
  for (const [name, peer] of world.peers) {
    const { slots } = await peer.status()
    if (slots.receiving === 0) continue
    await world.stopPeer(name)
    return
  }
}
