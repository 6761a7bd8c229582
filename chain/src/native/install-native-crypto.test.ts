import { sha256 as portableSha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { pureSecp256k1 } from '../bytes/signature.ts'
import { installNativeCrypto, nativeSecp256k1 } from './install-native-crypto.ts'

const native = nativeSecp256k1()
const secretKeys = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((k) => k[0] !== 0xff && k.some((b) => b !== 0))
const digests = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((data) => sha256(data))
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

describe.skipIf(!native)('native secp256k1 gives the answers of the portable one', () => {
  const addon = native as NonNullable<typeof native>

  test('same signatures and both verify them', () => {
    fc.assert(
      fc.property(secretKeys, digests, (key, digest) => {
        const signature = addon.sign(digest, key)
        expect(signature).toEqual(pureSecp256k1.sign(digest, key))
        const publicKey = pureSecp256k1.publicKey(key)
        expect(addon.verify(signature, digest, publicKey)).toBe(true)
        expect(pureSecp256k1.verify(signature, digest, publicKey)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  test('same public keys; both throw for what is no secret key', () => {
    fc.assert(
      fc.property(secretKeys, (key) => {
        expect(addon.publicKey(key)).toEqual(pureSecp256k1.publicKey(key))
        expect(addon.publicKey(Buffer.from(key))).toEqual(pureSecp256k1.publicKey(key))
      }),
      { numRuns: 30 },
    )
    for (const key of [new Uint8Array(32), new Uint8Array(32).fill(0xff), new Uint8Array(31)]) {
      expect(() => addon.publicKey(key)).toThrow()
      expect(() => pureSecp256k1.publicKey(key)).toThrow()
    }
  })

  test('both refuse the high-S twin', () => {
    fc.assert(
      fc.property(secretKeys, digests, (key, digest) => {
        const signature = addon.sign(digest, key)
        const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
        const twin = (ORDER - s).toString(16).padStart(64, '0')
        const high = Uint8Array.from([...signature.subarray(0, 32), ...Buffer.from(twin, 'hex')])
        const publicKey = pureSecp256k1.publicKey(key)
        expect(addon.verify(high, digest, publicKey)).toBe(false)
        expect(pureSecp256k1.verify(high, digest, publicKey)).toBe(false)
      }),
      { numRuns: 20 },
    )
  })

  test('both refuse arbitrary bytes without throwing', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
    fc.assert(
      fc.property(bytes(64), bytes(32), bytes(33), (signature, digest, key) => {
        expect(addon.verify(signature, digest, key)).toBe(
          pureSecp256k1.verify(signature, digest, key),
        )
      }),
      { numRuns: 100 },
    )
    expect(addon.verify(new Uint8Array(3), new Uint8Array(32), new Uint8Array(33))).toBe(false)
  })
})

test('SHA-256 is that of the portable code at every length', async () => {
  await installNativeCrypto()
  for (let length = 0; length <= 300; length++) {
    const data = new Uint8Array(length).fill(length)
    expect(sha256(data)).toEqual(portableSha256(data))
  }
})
