import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Inbox } from './inbox.ts'

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())
const FRIEND = new Uint8Array(33).fill(2)
let folder: string
let inbox: Inbox
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-inbox-'))
  inbox = await Inbox.open(folder, [FRIEND])
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('inbox', () => {
  test('knows its friends', () => {
    expect(inbox.isFriend(FRIEND)).toBe(true)
    expect(inbox.isFriend(new Uint8Array(33).fill(3))).toBe(false)
  })

  test('goes on with a file that was cut off, and never replaces one', async () => {
    const bytes = randomBytes(100_000)
    const first = await inbox.receive('a.txt', bytes.length, sha256(bytes))
    await first.write(bytes.subarray(0, 40_000))
    await expect(inbox.receive('a.txt', bytes.length, sha256(bytes))).rejects.toMatchObject({
      code: 'FILE_BUSY',
    })
    await first.suspend()
    const second = await inbox.receive('a.txt', bytes.length, sha256(bytes))
    expect(second.receivedBytes).toBe(40_000)
    await second.write(bytes.subarray(40_000))
    await second.finish()
    const other = await inbox.receive('a.txt', 1, sha256(Uint8Array.of(1)))
    await other.write(Uint8Array.of(1))
    await other.finish()
    expect((await inbox.files()).sort()).toEqual(['a (2).txt', 'a.txt'])
    expect(Buffer.compare(await readFile(join(folder, 'a.txt')), bytes)).toBe(0)
    expect((await readdir(folder)).some((name) => name.endsWith('.part'))).toBe(false)
  })

  test('keeps nothing that is not what was announced', async () => {
    const bytes = randomBytes(1000)
    const file = await inbox.receive('x', 1000, sha256(randomBytes(1000)))
    await file.write(bytes)
    await expect(file.finish()).rejects.toMatchObject({ code: 'FILE_DIFFERS' })
    const long = await inbox.receive('y', 10, sha256(bytes))
    await expect(long.write(bytes)).rejects.toMatchObject({ code: 'FILE_SIZE' })
    await long.suspend()
    expect(await inbox.files()).toEqual([])
  })

  test.each(['../x', 'a/b', '', '.', '..', '.hidden', 'x\0y', 'c:\\x', 'z.part'])(
    'refuses the name %j',
    async (name) => {
      const refused = inbox.receive(name, 1, new Uint8Array(32))
      await expect(refused).rejects.toMatchObject({ code: 'FILE_NAME' })
    },
  )

  test('refuses a file that the disk has no room for', async () => {
    const refused = inbox.receive('big', 2 ** 50, new Uint8Array(32))
    await expect(refused).rejects.toMatchObject({ code: 'DISK_FULL' })
  })
})
