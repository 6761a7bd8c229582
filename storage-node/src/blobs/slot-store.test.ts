import { randomBytes } from 'node:crypto'
import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesEqual, slotRoot, verifyBlock, blockPathFrom, verifyOpening } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildOpenings } from '../proofs/build-openings.ts'
import { isPassing } from './blob-error.ts'
import { slotKey } from './slot-record.ts'
import { SlotStore } from './slot-store.ts'

const BLOCK = 65_536
const MIB = 1024 * 1024
const NAME = { contract: 3, salt: new Uint8Array(32).fill(5), slot: 1 }

let folder: string
beforeAll(async () => {
  await installNativeCrypto()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-blobs-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Bytes of whole leaves. */
const slotBytes = (leaves: number) => new Uint8Array(randomBytes(leaves * 256))

async function store(slot: Uint8Array, from = 0, name = NAME): Promise<SlotStore> {
  const opened = await SlotStore.open(folder, 64 * MIB)
  const receiver = await opened.receive(name, slot.length / 256)
  for (let at = from; at < slot.length; at += 4 * BLOCK) {
    await receiver.write(slot.subarray(at, Math.min(slot.length, at + 4 * BLOCK)))
  }
  await receiver.finish(7)
  return opened
}

describe('slot store', () => {
  test.each([1, 255, 256, 257, 1000, 4096 + 3])('keeps a slot of %i leaves', async (leaves) => {
    const slot = slotBytes(leaves)
    await store(slot)
    const again = await SlotStore.open(folder, 64 * MIB)
    const record = again.find(NAME)
    expect(bytesEqual(record?.root ?? NAME.salt, slotRoot(slot))).toBe(true)
    expect(record?.receivedEpoch).toBe(7)
    const opened = await again.openSlot(NAME)
    const last = Math.ceil(leaves / 256) - 1
    expect(bytesEqual(await opened.readBlocks(0, last + 1), slot)).toBe(true)
    const block = await opened.readBlock(last)
    const path = blockPathFrom({ ...opened, blockIndex: last })
    const root = slotRoot(slot)
    expect(verifyBlock({ root, leafCount: leaves, blockIndex: last, block, path })).toBe(true)
    const openings = await buildOpenings(opened, [0, leaves - 1])
    if (!openings.ok) throw new Error(openings.fault.message)
    for (const [i, leafIndex] of [0, leaves - 1].entries()) {
      const opening = openings.value[i]
      expect(opening && verifyOpening({ root, leafCount: leaves, leafIndex, ...opening })).toBe(
        true,
      )
    }
    await opened.close()
  })

  test('resumes an upload at the block after the last synced one', async () => {
    const slot = slotBytes(40 * 4096)
    const first = await SlotStore.open(folder, 64 * MIB)
    const receiver = await first.receive(NAME, slot.length / 256)
    await receiver.write(slot.subarray(0, MIB))
    await receiver.write(slot.subarray(MIB, 20 * MIB))
    await receiver.suspend()
    const second = await SlotStore.open(folder, 64 * MIB)
    expect(second.find(NAME)).toBeUndefined()
    const resumed = await second.receive(NAME, slot.length / 256)
    expect(resumed.receivedBytes).toBe(20 * MIB)
    await resumed.write(slot.subarray(20 * MIB))
    const { root } = await resumed.finish(1)
    expect(bytesEqual(root, slotRoot(slot))).toBe(true)
  })

  test('a crash during an upload costs only what was not synced', async () => {
    const slot = slotBytes(20 * 4096)
    const first = await SlotStore.open(folder, 64 * MIB)
    const receiver = await first.receive(NAME, slot.length / 256)
    await receiver.write(slot.subarray(0, 17 * MIB))
    await receiver.write(slot.subarray(17 * MIB, 18 * MIB))
    // What a power cut leaves: the synced part, and garbage behind it.
    const crashed = join(folder, 'crashed')
    const part = `${slotKey(NAME)}.part`
    await cp(join(folder, part), join(crashed, part), { recursive: true })
    await receiver.suspend()
    await appendFile(join(crashed, part, 'data'), randomBytes(100_000))
    const second = await SlotStore.open(crashed, 64 * MIB)
    const resumed = await second.receive(NAME, slot.length / 256)
    expect(resumed.receivedBytes).toBe(17 * MIB)
    await resumed.write(slot.subarray(17 * MIB))
    expect(bytesEqual((await resumed.finish(1)).root, slotRoot(slot))).toBe(true)
  })

  test('data cut short behind synced hashes is sent again', async () => {
    const slot = slotBytes(20 * 4096)
    const first = await SlotStore.open(folder, 64 * MIB)
    const receiver = await first.receive(NAME, slot.length / 256)
    await receiver.write(slot.subarray(0, 16 * MIB))
    await receiver.suspend()
    await truncate(join(folder, `${slotKey(NAME)}.part`, 'data'), 5 * MIB + 1234)
    const second = await SlotStore.open(folder, 64 * MIB)
    const resumed = await second.receive(NAME, slot.length / 256)
    expect(resumed.receivedBytes).toBe(5 * MIB)
    await resumed.write(slot.subarray(5 * MIB))
    expect(bytesEqual((await resumed.finish(1)).root, slotRoot(slot))).toBe(true)
  })

  test.each([
    ['data', (path: string) => truncate(path, 1000)],
    ['tree', (path: string) => truncate(path, 32)],
    ['tree', async (path: string) => writeFile(path, flipped(await readFile(path)))],
    ['record', (path: string) => truncate(path, 10)],
  ])('finds a torn %s file at the start', async (file, tear) => {
    await store(slotBytes(1000))
    await tear(join(folder, slotKey(NAME), file))
    const again = await SlotStore.open(folder, 64 * MIB)
    expect(again.figures().damaged).toBe(1)
    await expect(again.openSlot(NAME)).rejects.toMatchObject({ name: 'BlobError' })
  })

  test('a flipped byte of the data is found when a leaf is opened', async () => {
    const opened = await store(slotBytes(1000))
    const path = join(folder, slotKey(NAME), 'data')
    await writeFile(path, flipped(await readFile(path)))
    const slot = await opened.openSlot(NAME)
    const openings = await buildOpenings(slot, [0])
    expect(openings.ok).toBe(false)
    await slot.close()
  })

  /** Puts a file in a slot's folder whose every read fails with EIO, until the answer is called. */
  async function failReads(file: string): Promise<() => Promise<void>> {
    const path = join(folder, slotKey(NAME), file)
    await rename(path, `${path}.aside`)
    await symlink('/proc/self/mem', path)
    return async () => {
      await rm(path)
      await rename(`${path}.aside`, path)
    }
  }

  test('a disk that fails for now costs no slot: opening again works', async () => {
    const opened = await store(slotBytes(1000))
    const mendTree = await failReads('tree')
    await expect(opened.openSlot(NAME)).rejects.toMatchObject({ code: 'DISK_UNAVAILABLE' })
    await mendTree()
    const mendData = await failReads('data')
    const failing = await opened.openSlot(NAME)
    await expect(failing.readBlock(0)).rejects.toMatchObject({ code: 'DISK_UNAVAILABLE' })
    await failing.close()
    await mendData()
    expect(opened.figures().damaged).toBe(0)
    const slot = await opened.openSlot(NAME)
    expect((await buildOpenings(slot, [999])).ok).toBe(true)
    await slot.close()
  })

  test.each(['record', 'tree'])('a %s that cannot be read now stops the start', async (file) => {
    await store(slotBytes(1000))
    const mend = await failReads(file)
    const opening = SlotStore.open(folder, 64 * MIB)
    await expect(opening).rejects.toMatchObject({ code: 'DISK_UNAVAILABLE' })
    await mend()
    expect((await SlotStore.open(folder, 64 * MIB)).figures().damaged).toBe(0)
  })

  test('a file that is gone is damage, a folder of all slots that is gone is a disk', async () => {
    const opened = await store(slotBytes(1000))
    await rename(folder, `${folder}-away`)
    await expect(opened.openSlot(NAME)).rejects.toMatchObject({ code: 'DISK_UNAVAILABLE' })
    await rename(`${folder}-away`, folder)
    await rm(join(folder, slotKey(NAME), 'data'))
    await expect(opened.openSlot(NAME)).rejects.toMatchObject({ code: 'SLOT_DAMAGED' })
    expect(opened.figures().damaged).toBe(1)
  })

  test('errors of the system pass unless they say that a file is not there', () => {
    const errno = (code: string) => Object.assign(new Error(code), { code, syscall: 'open' })
    for (const code of ['EMFILE', 'ENFILE', 'EACCES', 'EPERM', 'EIO', 'EBUSY', 'ENOMEM']) {
      expect(isPassing(errno(code)), code).toBe(true)
    }
    for (const code of ['ENOENT', 'ENOTDIR', 'EISDIR']) expect(isPassing(errno(code))).toBe(false)
    expect(isPassing(new Error('its kept hashes do not lead to its root'))).toBe(false)
    expect(isPassing(new RangeError('too long'))).toBe(false)
  })

  test('refuses what does not fit, counting uploads that run', async () => {
    const opened = await SlotStore.open(folder, 10 * MIB)
    const receiver = await opened.receive(NAME, 6 * 4096)
    expect(opened.freeBytes).toBe(4 * MIB)
    const other = { ...NAME, slot: 2 }
    await expect(opened.receive(other, 5 * 4096)).rejects.toMatchObject({ code: 'CAPACITY' })
    await expect(opened.receive(NAME, 4096)).rejects.toMatchObject({ code: 'SLOT_BUSY' })
    await receiver.suspend()
    expect(opened.freeBytes).toBe(10 * MIB)
  })

  test('refuses more bytes than announced, torn blocks and an early end', async () => {
    const opened = await SlotStore.open(folder, 10 * MIB)
    const receiver = await opened.receive(NAME, 300)
    const wrong = { code: 'SLOT_SIZE' }
    await expect(receiver.write(new Uint8Array(300 * 256 + 1))).rejects.toMatchObject(wrong)
    await expect(receiver.write(new Uint8Array(1000))).rejects.toMatchObject(wrong)
    await receiver.write(new Uint8Array(BLOCK))
    await expect(receiver.finish(0)).rejects.toMatchObject(wrong)
    await receiver.suspend()
  })

  test('knows its rail again after a restart, and forgets what is deleted', async () => {
    const opened = await store(slotBytes(10))
    await opened.update(NAME, { rail: 44, generation: 2, price: 5n })
    const again = await SlotStore.open(folder, 10 * MIB)
    expect(again.findByRail(44, 2)?.price).toBe(5n)
    await again.delete(NAME)
    expect(await readdir(folder)).toEqual([])
    expect(again.figures()).toMatchObject({ stored: 0, bytes: 0 })
  })
})

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[5] = (copy[5] ?? 0) ^ 1
  return copy
}
