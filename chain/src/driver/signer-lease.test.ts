import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { publicKeyOf } from '../bytes/signature.ts'
import { ConsensusKey } from './consensus-key.ts'
import { secureSigner } from './signer-history.ts'
import { parseLease, SignerHistoryError, SignerLease } from './signer-lease.ts'

const CHAIN = new Uint8Array(32).fill(7)
const secretKey = new Uint8Array(32).fill(3)
const publicKey = publicKeyOf(secretKey)
const MAX = Number.MAX_SAFE_INTEGER
let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-lease-'))
  path = join(folder, 'signer-lease.json')
})
afterEach(() => rm(folder, { recursive: true }))

describe('signer lease', () => {
  test('moves 64 views ahead at a time and survives', async () => {
    const lease = await SignerLease.create(path, CHAIN, publicKey)
    await lease.cover(3, 10)
    const text = await readFile(path, 'utf8')
    await lease.cover(3, 74)
    expect(await readFile(path, 'utf8')).toBe(text)
    await lease.cover(3, 75)
    const read = await SignerLease.read(path, CHAIN, publicKey)
    expect(read?.leased).toEqual({ epoch: 3, view: 139 })
    expect(read?.signAbove(3)).toBe(0)
  })

  test('what the log no longer proves may not be signed', async () => {
    const lease = await SignerLease.create(path, CHAIN, publicKey)
    await lease.cover(3, 10)
    await lease.forbidLeased()
    expect([2, 3, 4].map((epoch) => lease.signAbove(epoch))).toEqual([MAX, 74, 0])
    await lease.forbidEpoch(3)
    await lease.forbidLeased()
    const read = await SignerLease.read(path, CHAIN, publicKey)
    expect([2, 3, 4].map((epoch) => read?.signAbove(epoch))).toEqual([MAX, MAX, 0])
  })

  test('a damaged file, or one of another key or chain, is refused', async () => {
    await SignerLease.create(path, CHAIN, publicKey)
    const read = (chain: Uint8Array, key: Uint8Array) => SignerLease.read(path, chain, key)
    await expect(read(new Uint8Array(32), publicKey)).rejects.toThrow(SignerHistoryError)
    await expect(read(CHAIN, new Uint8Array(33))).rejects.toThrow(SignerHistoryError)
    for (const text of ['', '{', '[]', '{"version":1}', 'null', ' '.repeat(9999)]) {
      await writeFile(path, text)
      await expect(read(CHAIN, publicKey)).rejects.toThrow('damaged')
    }
  })

  test('no flipped bit lets it forget what was signed', async () => {
    const lease = await SignerLease.create(path, CHAIN, publicKey)
    await lease.cover(3, 10)
    await lease.forbidLeased()
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 3))
      const read = parseLease(flipped.toString('utf8'))
      if (read === undefined) continue
      // White space may change without harm.
      expect(read, `byte ${at}`).toEqual(parseLease(whole.toString('utf8')))
    }
  })
})

describe('what a key may sign after a restart', () => {
  const secure = (condition: 'new' | 'intact' | 'damaged', newValidator: boolean) =>
    secureSigner(folder, CHAIN, { key: new ConsensusKey(secretKey), newValidator }, condition, 5)

  test('without any history only a key declared new', async () => {
    await expect(secure('new', false)).rejects.toThrow(SignerHistoryError)
    await expect(secure('intact', false)).rejects.toThrow(SignerHistoryError)
    expect((await secure('new', true)).signAbove(5)).toBe(0)
  })

  test('all with an intact log, above the lease without one, next epoch after damage', async () => {
    const lease = await SignerLease.create(path, CHAIN, publicKey)
    await lease.cover(5, 100)
    expect((await secure('intact', false)).signAbove(5)).toBe(0)
    expect((await secure('new', false)).signAbove(5)).toBe(164)
    const damaged = await secure('damaged', false)
    expect([5, 6].map((epoch) => damaged.signAbove(epoch))).toEqual([MAX, 0])
    expect((await secure('intact', true)).signAbove(5)).toBe(MAX)
  })
})
