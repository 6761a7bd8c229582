import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { publicKeyOf } from '../bytes/signature.ts'
import { DirectoryInUseError, lockDirectory } from './directory-lock.ts'
import { DiskFullError, DiskReserve, isDiskFull, orDiskFull } from './disk-reserve.ts'
import { LEASE_FILE, SignerHistoryError, SignerLease } from './signer-lease.ts'
import { exportSignerLease, importSignerLease } from './signer-transfer.ts'

const CHAIN_ID = new Uint8Array(32).fill(3)
const KEY = publicKeyOf(new Uint8Array(32).fill(5))
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-signer-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function leaseIn(
  name: string,
  key = KEY,
): Promise<{ directory: string; lease: SignerLease }> {
  const directory = join(folder, name)
  await mkdir(directory, { recursive: true })
  return { directory, lease: await SignerLease.create(join(directory, LEASE_FILE), CHAIN_ID, key) }
}

const reread = async (directory: string) => {
  const lease = await SignerLease.read(join(directory, LEASE_FILE), CHAIN_ID, KEY)
  if (!lease) throw new Error('a lease')
  return lease
}

describe('a signer lease moved to another machine', () => {
  test('forbids there what may have been signed here, and all here', async () => {
    const { directory, lease } = await leaseIn('old')
    await lease.cover(4, 10)
    const text = await exportSignerLease(directory, { retire: true })
    const target = join(folder, 'new')
    await importSignerLease(target, text)
    const moved = await reread(target)
    expect([moved.signAbove(3), moved.signAbove(4), moved.signAbove(5)]).toEqual([
      Number.MAX_SAFE_INTEGER,
      74,
      0,
    ])
    const retired = await reread(directory)
    expect(retired.signAbove(1_000_000)).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('raises one that is there and never lowers it', async () => {
    const { directory, lease } = await leaseIn('old')
    await lease.cover(4, 10)
    const early = await exportSignerLease(directory, { retire: false })
    const { directory: other, lease: own } = await leaseIn('other')
    await own.cover(9, 1)
    await own.forbidLeased()
    await importSignerLease(other, early)
    expect((await reread(other)).signAbove(9)).toBe(65)
    expect((await reread(other)).leased).toEqual({ epoch: 9, view: 65 })
  })

  test('text that is no lease, or of another key, changes nothing', async () => {
    const { directory } = await leaseIn('one')
    const { directory: other } = await leaseIn('two', publicKeyOf(new Uint8Array(32).fill(6)))
    const before = await readFile(join(other, LEASE_FILE), 'utf8')
    const text = await exportSignerLease(directory, { retire: false })
    for (const wrong of [text, '{}', 'null', text.slice(1), '[1]']) {
      await expect(importSignerLease(other, wrong)).rejects.toThrow(SignerHistoryError)
    }
    expect(await readFile(join(other, LEASE_FILE), 'utf8')).toBe(before)
    await expect(exportSignerLease(folder, { retire: false })).rejects.toThrow(SignerHistoryError)
  })

  test('not while a node has the directory', async () => {
    const { directory } = await leaseIn('busy')
    const text = await exportSignerLease(directory, { retire: false })
    const lock = await lockDirectory(directory)
    await expect(exportSignerLease(directory, { retire: true })).rejects.toThrow(
      DirectoryInUseError,
    )
    await expect(importSignerLease(directory, text)).rejects.toThrow(DirectoryInUseError)
    await lock.release()
    await importSignerLease(directory, text)
  })
})

describe('the lock of a directory', () => {
  test('refuses a second process, and is free at once after kill -9', async () => {
    const script = join(import.meta.dirname, 'directory-lock.ts')
    const hold = `const { lockDirectory } = await import(${JSON.stringify(script)});
      await lockDirectory(${JSON.stringify(folder)});
      console.log('held'); setInterval(() => {}, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', hold], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(holder.stdout, 'data')
      await expect(lockDirectory(folder)).rejects.toThrow(/one validator key signs in one process/)
    } finally {
      holder.kill('SIGKILL')
    }
    await once(holder, 'exit')
    await (await lockDirectory(folder)).release()
  })

  test('damage to its files does not keep anybody out', async () => {
    await (await lockDirectory(folder)).release()
    await writeFile(join(folder, 'lock', 'CURRENT'), 'nonsense')
    await (await lockDirectory(folder)).release()
  })
})

describe('the reserve on the disk', () => {
  test('takes the room once and gives it back', async () => {
    const reserve = await DiskReserve.hold(folder, 3 * 1024 * 1024 + 7)
    const first = await readFile(join(folder, 'reserve'))
    expect(first).toHaveLength(3 * 1024 * 1024 + 7)
    await DiskReserve.hold(folder, 1024)
    expect(await readFile(join(folder, 'reserve'))).toEqual(first)
    reserve.release()
    await expect(readFile(join(folder, 'reserve'))).rejects.toThrow(/ENOENT/)
    reserve.release()
  })

  test('where there is no room it says so and leaves nothing behind', async () => {
    // Every write to this device fails for want of room.
    await rm(join(folder, 'full'), { recursive: true, force: true })
    await mkdir(join(folder, 'full'))
    await symlink('/dev/full', join(folder, 'full', 'reserve'))
    const held = DiskReserve.hold(join(folder, 'full'), 4096)
    await expect(held).rejects.toThrow(DiskFullError)
    await expect(held).rejects.toThrow(/free at least 2 MiB/)
    await expect(readFile(join(folder, 'full', 'reserve'))).rejects.toThrow(/ENOENT/)
  })

  test('a start that fails for want of room is no damage, whatever a database says', () => {
    const full = new Error('IO error: /chain/000011.ldb: No space left on device')
    const opened = new Error('the database cannot be opened: move it away', { cause: full })
    expect(orDiskFull(opened, '/data', 1024 * 1024)).toMatchObject({
      name: 'DiskFullError',
      message: expect.stringContaining('the disk of /data is full: free at least 2 MiB'),
      cause: opened,
    })
    const damaged = new Error('checksum mismatch')
    expect(orDiskFull(damaged, '/data')).toBe(damaged)
  })

  test('knows a full disk wherever the error hides it', () => {
    const full = Object.assign(new Error('no'), { code: 'ENOSPC' })
    expect(isDiskFull(new Error('outer', { cause: full }))).toBe(true)
    expect(isDiskFull(new Error('IO error: 000005.log: No space left on device'))).toBe(true)
    expect(isDiskFull(new Error('a peer is gone'))).toBe(false)
    expect(isDiskFull(undefined)).toBe(false)
  })
})
