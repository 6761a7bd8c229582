import { getPublicKey } from '@noble/secp256k1'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hash160, sha256 } from '../bytes/hash.ts'
import { pureSecp256k1, type SignatureCheck } from '../bytes/signature.ts'
import { knowingSecp256k1, nativeSecp256k1 } from './install-native-crypto.ts'
import { KnownKeys, type PointCheck } from './known-keys.ts'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const FIELD = 2n ** 256n - 2n ** 32n - 977n

const toBytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
const toBig = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
const secretOf = (seed: number) => sha256(Uint8Array.of(seed))

function good(seed: number, message: number): SignatureCheck {
  const digest = sha256(Uint8Array.of(1, message))
  const secretKey = secretOf(seed)
  return {
    signature: pureSecp256k1.sign(digest, secretKey),
    digest,
    publicKey: pureSecp256k1.publicKey(secretKey),
  }
}

/** Every way in which one of the three parts can be wrong, by what it spoils. */
const spoilt: Record<string, (check: SignatureCheck, seed: number) => SignatureCheck> = {
  nothing: (check) => check,
  'other digest': (check) => ({ ...check, digest: sha256(check.digest) }),
  'digest of 31 bytes': (check) => ({ ...check, digest: check.digest.slice(1) }),
  'other key': (check, seed) => ({ ...check, publicKey: good(seed + 1, 0).publicKey }),
  'key with the other sign': (check) => ({
    ...check,
    publicKey: join(Uint8Array.of((check.publicKey[0] as number) ^ 1), check.publicKey.subarray(1)),
  }),
  'hybrid key': (check) => ({
    ...check,
    publicKey: join(Uint8Array.of(6), check.publicKey.subarray(1)),
  }),
  'prefix of an uncompressed key': (check) => ({
    ...check,
    publicKey: join(Uint8Array.of(4), check.publicKey.subarray(1)),
  }),
  'point at infinity': (check) => ({ ...check, publicKey: new Uint8Array(33) }),
  'x off the curve': (check) => ({ ...check, publicKey: join(Uint8Array.of(2), toBytes(5n)) }),
  'x = p': (check) => ({ ...check, publicKey: join(Uint8Array.of(2), toBytes(FIELD)) }),
  'x beyond p': (check) => ({ ...check, publicKey: new Uint8Array(33).fill(255).fill(3, 0, 1) }),
  'key of 32 bytes': (check) => ({ ...check, publicKey: check.publicKey.slice(1) }),
  'key of 65 bytes': (check, seed) => ({
    ...check,
    publicKey: getPublicKey(secretOf(seed), false),
  }),
  'high s': (check) => withS(check, ORDER - toBig(check.signature.subarray(32))),
  's = 0': (check) => withS(check, 0n),
  's = n': (check) => withS(check, ORDER),
  'r = 0': (check) => withR(check, 0n),
  'r = n': (check) => withR(check, ORDER),
  'r = s = 0': (check) => ({ ...check, signature: new Uint8Array(64) }),
  'signature of 63 bytes': (check) => ({ ...check, signature: check.signature.slice(1) }),
  // With the digest -r x secret the sum of points that is checked is infinity.
  'sum at infinity': (check, seed) => {
    const r = toBig(check.signature.subarray(0, 32))
    const digest = (ORDER - ((r * toBig(secretOf(seed))) % ORDER)) % ORDER
    return { ...check, digest: new Uint8Array(toBytes(digest)) }
  },
}

function withS(check: SignatureCheck, s: bigint): SignatureCheck {
  return { ...check, signature: join(check.signature.subarray(0, 32), toBytes(s)) }
}

function withR(check: SignatureCheck, r: bigint): SignatureCheck {
  return { ...check, signature: join(toBytes(r), check.signature.subarray(32)) }
}

const answer = (verify: typeof pureSecp256k1.verify, check: SignatureCheck) =>
  verify(check.signature, check.digest, check.publicKey)

describe.skipIf(!nativeSecp256k1())('known keys give the answers of the portable check', () => {
  const native = knowingSecp256k1()?.secp256k1 as typeof pureSecp256k1
  const plain = nativeSecp256k1() as typeof pureSecp256k1

  test.for(Object.keys(spoilt))('%s, whether the key is known or not', (name) => {
    const spoil = spoilt[name] as (typeof spoilt)[string]
    fc.assert(
      fc.property(fc.nat(200), fc.nat(255), fc.boolean(), (seed, message, isKnownBefore) => {
        const check = good(seed, message)
        if (isKnownBefore) expect(answer(native.verify, check)).toBe(true)
        const bad = spoil(check, seed)
        const expected = answer(pureSecp256k1.verify, bad)
        expect(expected).toBe(name === 'nothing')
        for (let again = 0; again < 2; again++) {
          expect(answer(native.verify, bad)).toBe(expected)
          expect(answer(plain.verify, bad)).toBe(expected)
        }
      }),
      { numRuns: 12 },
    )
  })

  test('random bytes', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
    fc.assert(
      fc.property(bytes(64), bytes(32), bytes(32), fc.nat(7), (signature, digest, x, prefix) => {
        const check = { signature, digest, publicKey: join(Uint8Array.of(prefix), x) }
        expect(answer(native.verify, check)).toBe(answer(pureSecp256k1.verify, check))
      }),
      { numRuns: 100 },
    )
  })
})

describe('what is remembered', () => {
  /** A library whose points are the keys twice and whose signatures begin with the key's end. */
  function counting(keysMax: number) {
    const asked = { expand: 0, verify: 0 }
    const check: PointCheck = {
      expand: (key) => (++asked.expand > 0 && key[0] === 2 ? join(key, key) : undefined),
      verify: (signature, _digest, point) => ++asked.verify > 0 && signature[0] === point.at(-1),
    }
    const keys = new KnownKeys(check, keysMax)
    const key = (i: number) => new Uint8Array(33).fill(i).fill(2, 0, 1)
    const verify = (i: number, mark = i) =>
      keys.verify(new Uint8Array(64).fill(mark), new Uint8Array(32), key(i))
    return { keys, asked, key, verify }
  }

  test('a key is expanded until a signature of it was valid, then no more', () => {
    const { keys, asked, verify } = counting(4)
    expect(verify(1, 9)).toBe(false)
    expect(keys.size).toBe(0)
    expect(verify(1)).toBe(true)
    expect(asked.expand).toBe(2)
    expect(verify(1)).toBe(true)
    expect(verify(1, 9)).toBe(false)
    expect(asked.expand).toBe(2)
    expect(keys.size).toBe(1)
  })

  test('what is no point is asked about each time and not kept', () => {
    const { keys, asked } = counting(4)
    const malformed = new Uint8Array(33).fill(5)
    for (let i = 1; i <= 2; i++) {
      expect(keys.verify(new Uint8Array(64), new Uint8Array(32), malformed)).toBe(false)
      expect(asked).toEqual({ expand: i, verify: 0 })
    }
    expect(keys.size).toBe(0)
  })

  test('the number of keys is bounded; those in use stay', () => {
    const { keys, asked, verify } = counting(3)
    for (let i = 1; i <= 100; i++) {
      expect(verify(i)).toBe(true)
      expect(verify(1)).toBe(true)
      expect(keys.size).toBeLessThanOrEqual(6)
    }
    expect(asked.expand).toBe(100)
    expect(verify(2)).toBe(true)
    expect(asked.expand).toBe(101)
  })

  test('addresses are those of the key, as arrays of the caller own', () => {
    const { keys, key, verify } = counting(3)
    for (const isKnown of [false, true, true]) {
      expect(isKnown && verify(1)).toBe(isKnown)
      const address = keys.addressOf(key(1))
      expect(address).toEqual(hash160(key(1)))
      address.fill(0)
    }
    expect(keys.addressOf(new Uint8Array(3))).toEqual(hash160(new Uint8Array(3)))
  })
})
