import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesToHex, publicKeyOf, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { p256PublicKey } from '@ioex/chain/elastos'
import { fc, test as law } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKey, readKey, readOrCreateKey } from '../nodes/key-file.ts'
import { writeNewSecretFile } from './new-file.ts'
import { PassphraseSource } from './passphrase.ts'
import { isSealed, KeyFileError, openSecret, SCRYPT_COST, sealSecret } from './sealed-secret.ts'

/** Far cheaper than real files, which the round trip below uses. */
const COST = 2 ** 10
const info = { kind: 'node', publicKey: bytesToHex(publicKeyOf(sha256(utf8ToBytes('n')))) } as const
const codeOf = (error: unknown) => (error instanceof KeyFileError ? error.code : String(error))
const open = (text: string, passphrase: string) =>
  openSecret(text, 'node', passphrase, 'a.key').catch(codeOf)

const secrets = fc.uint8Array({ minLength: 1, maxLength: 200 })
const passphrases = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })

describe('sealed secrets', () => {
  law.prop([secrets, passphrases], { numRuns: 25 })(
    'open with their passphrase alone',
    async (secret, passphrase) => {
      const text = await sealSecret(secret, info, passphrase, COST)
      expect(isSealed(text)).toBe(true)
      expect(bytesToHex((await open(text, passphrase)) as Uint8Array)).toBe(bytesToHex(secret))
      expect(await open(text, `${passphrase}x`)).toBe('PASSPHRASE_WRONG')
      expect(text).not.toContain(bytesToHex(secret).padEnd(16, '-'))
    },
  )

  law.prop([fc.nat(), fc.integer({ min: 1, max: 255 })], { numRuns: 60 })(
    'are refused with any byte changed or cut off',
    async (position, flip) => {
      const secret = sha256(utf8ToBytes('secret'))
      const bytes = Buffer.from(await sealSecret(secret, info, 'right one', COST))
      const at = position % bytes.length
      const cut = bytes.subarray(0, at).toString('latin1')
      expect(await open(cut, 'right one')).toBe('KEY_FILE_DAMAGED')
      bytes[at] = (bytes[at] as number) ^ flip
      expect(await open(bytes.toString('latin1'), 'right one')).toBe('KEY_FILE_DAMAGED')
    },
  )

  test('a forged checksum does not help: every field is authenticated', async () => {
    const sealed = JSON.parse(await sealSecret(sha256(utf8ToBytes('s')), info, 'right one', COST))
    const other = bytesToHex(publicKeyOf(sha256(utf8ToBytes('other'))))
    for (const change of [
      { publicKey: other },
      { kind: 'owner' },
      { nonce: '00'.repeat(12) },
      { tag: '00'.repeat(16) },
      { scrypt: { ...sealed.scrypt, n: 2 ** 12 } },
    ]) {
      const { checksum: _, ...body } = { ...sealed, ...change }
      const checksum = bytesToHex(sha256(utf8ToBytes(JSON.stringify(body))))
      const text = `${JSON.stringify({ ...body, checksum }, null, 2)}\n`
      const code = 'kind' in change ? 'KEY_FILE_KIND' : 'PASSPHRASE_WRONG'
      expect(await open(text, 'right one')).toBe(code)
    }
    const { checksum: _, ...body } = { ...sealed, scrypt: { ...sealed.scrypt, n: 2 ** 30 } }
    const checksum = bytesToHex(sha256(utf8ToBytes(JSON.stringify(body))))
    const greedy = `${JSON.stringify({ ...body, checksum }, null, 2)}\n`
    expect(await open(greedy, 'right one')).toBe('KEY_FILE_DAMAGED')
  })

  test('letters composed in either way are the same passphrase', async () => {
    const text = await sealSecret(Uint8Array.of(1), info, 'caf\u00e9 au lait', COST)
    expect(await open(text, 'cafe\u0301 au lait')).toEqual(Buffer.of(1))
  })
})

describe('key files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ioex-keys-'))
    await writeFile(join(folder, 'pass'), 'correct horse\nsecond line\n')
    await writeFile(join(folder, 'wrong'), 'battery staple\n')
    await writeFile(join(folder, 'short'), 'short\n')
    await writeFile(join(folder, 'empty'), '\n')
  })
  afterAll(() => rm(folder, { recursive: true }))
  const from = (name: string) => new PassphraseSource({ file: join(folder, name) })

  test('sealed at full cost, for the owner only, never overwritten', async () => {
    const path = join(folder, 'keys', 'node.key')
    const secret = await createKey(path, 'node', from('pass'))
    const text = await readFile(path, 'utf8')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(JSON.parse(text).scrypt.n).toBe(SCRYPT_COST)
    expect(SCRYPT_COST).toBeGreaterThanOrEqual(2 ** 17)
    expect(text).not.toContain(bytesToHex(secret))
    expect(await readKey(path, 'node', from('pass'))).toEqual(secret)
    expect(await readKey(path, 'node', from('wrong')).catch(codeOf)).toBe('PASSPHRASE_WRONG')
    expect(await readKey(path, 'consensus', from('pass')).catch(codeOf)).toBe('KEY_FILE_KIND')
    expect(await createKey(path, 'node', from('pass')).catch(codeOf)).toBe('KEY_FILE_EXISTS')
    expect(await readFile(path, 'utf8')).toBe(text)
    expect(await readdir(join(folder, 'keys'))).toEqual(['node.key'])
  }, 30_000)

  test('plain only when asked for; both kinds are read', async () => {
    const path = join(folder, 'plain.key')
    const secret = await createKey(path, 'main-chain', undefined)
    const publicKey = bytesToHex(p256PublicKey(secret))
    expect(await readFile(path, 'utf8')).toBe(`${bytesToHex(secret)}\npublic ${publicKey}\n`)
    expect(await readKey(path, 'main-chain', from('empty'))).toEqual(secret)
    expect(await readKey(path, 'consensus', from('empty')).catch(codeOf)).toBe('KEY_FILE_KIND')
    expect(await readOrCreateKey(path)).toEqual(secret)
  })

  test('a plain file of an older version is its secret alone', async () => {
    const path = join(folder, 'older.key')
    for (const end of ['', '\n', '\r\n']) {
      await writeFile(path, `${'0a'.repeat(32)}${end}`)
      expect(await readKey(path, 'node', from('empty'))).toEqual(new Uint8Array(32).fill(10))
    }
  })

  test('a plain file with any digit changed is damaged, and the error names it', async () => {
    const path = join(folder, 'changed.key')
    await createKey(path, 'node', undefined)
    const text = await readFile(path, 'utf8')
    for (let at = 0; at < text.trimEnd().length; at++) {
      const digit = text[at] === '3' ? '4' : '3'
      if (text[at] === '\n') continue
      await writeFile(path, text.slice(0, at) + digit + text.slice(at + 1))
      const error: unknown = await readKey(path, 'node', from('empty')).catch((each) => each)
      expect(codeOf(error), String(at)).toBe('KEY_FILE_DAMAGED')
      expect((error as Error).message).toMatch(/changed\.key is .*restore it from a backup$/)
    }
    // Beyond the order of either curve.
    await writeFile(path, `${'ff'.repeat(32)}${text.slice(64)}`)
    expect(await readKey(path, 'node', from('empty')).catch(codeOf)).toBe('KEY_FILE_DAMAGED')
  })

  test('what is missing or damaged has a code', async () => {
    const read = (path: string) => readKey(join(folder, path), 'node', from('pass')).catch(codeOf)
    await writeNewSecretFile(join(folder, 'cut.key'), 'abcdef\n')
    await writeNewSecretFile(join(folder, 'zero.key'), `${'00'.repeat(32)}\n`)
    expect(await read('none.key')).toBe('KEY_FILE_MISSING')
    expect(await read('cut.key')).toBe('KEY_FILE_DAMAGED')
    expect(await read('zero.key')).toBe('KEY_FILE_DAMAGED')
  })

  test('where a passphrase comes from', async () => {
    const seal = (name: string) => from(name).toSeal().catch(codeOf)
    expect(await seal('pass')).toBe('correct horse')
    expect(await seal('short')).toBe('PASSPHRASE_WEAK')
    expect(await seal('empty')).toBe('PASSPHRASE_MISSING')
    expect(await seal('nowhere')).toBe('PASSPHRASE_MISSING')
    const nobody = new PassphraseSource({ file: undefined })
    expect(await nobody.toOpen('a').catch(codeOf)).toBe('PASSPHRASE_MISSING')
    const typing = (...answers: string[]) => {
      const prompt = () => Promise.resolve(answers.shift() ?? 'asked too often')
      return new PassphraseSource({ file: undefined, prompt })
    }
    const same = typing('long enough', 'long enough')
    expect(await same.toSeal()).toBe('long enough')
    expect(await same.toOpen('a')).toBe('long enough')
    expect(await typing('long enough', 'long enouhg').toSeal().catch(codeOf)).toBe(
      'PASSPHRASE_WRONG',
    )
  })
})
