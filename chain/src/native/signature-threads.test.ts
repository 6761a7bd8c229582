import { afterEach, describe, expect, test, vi } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { pureSecp256k1, type SignatureCheck } from '../bytes/signature.ts'
import { nativeSecp256k1 } from './install-native-crypto.ts'
import { shareChecks, SharedVerdicts, type SignatureShares, workOff } from './signature-shares.ts'
import { SignatureThreads } from './signature-threads.ts'

const secp = nativeSecp256k1() ?? pureSecp256k1
const secretKey = sha256(Uint8Array.of(1))
const publicKey = secp.publicKey(secretKey)

function check(i: number): SignatureCheck {
  const digest = sha256(Uint8Array.of(i, i >> 8))
  return { signature: secp.sign(digest, secretKey), digest, publicKey }
}

/** One good, then one of each way to be bad. */
function mixed(count: number): SignatureCheck[] {
  return Array.from({ length: count }, (_, i) => {
    const good = check(i)
    switch (i % 5) {
      case 1:
        return { ...good, digest: sha256(good.digest) }
      case 2:
        return { ...good, signature: new Uint8Array(64).fill(0xff) }
      case 3:
        return { ...good, publicKey: new Uint8Array(33).fill(5) }
      case 4:
        return { ...good, signature: good.signature.slice(0, 63) }
      default:
        return good
    }
  })
}

const verdicts = (checks: readonly SignatureCheck[], verify: typeof secp.verify) =>
  checks.map(({ signature, digest, publicKey: key }) => verify(signature, digest, key))

let threads: SignatureThreads | undefined

afterEach(async () => {
  await threads?.stop()
})

/** Threads over a counting checker, so that what was known ahead shows. */
function counting(options: { threads: number; checksMin?: number }) {
  let asked = 0
  const verify: typeof secp.verify = (...triple) => {
    asked++
    return secp.verify(...triple)
  }
  threads = new SignatureThreads({ checksMin: 1, ...options, secp256k1: { ...secp, verify } })
  return { threads, asked: () => asked }
}

describe('signatures checked on several threads', () => {
  test.each([0, 1, 2])('with %i threads every answer is that of a plain check', async (count) => {
    const checks = mixed(100)
    const plain = verdicts(checks, (...triple) => pureSecp256k1.verify(...triple))
    const { threads: subject } = counting({ threads: count })
    const given = await subject.during(
      () => checks,
      () => Promise.resolve(verdicts(checks, (...triple) => subject.verify(...triple))),
    )
    expect(given).toEqual(plain)
    expect(given.filter(Boolean)).toHaveLength(20)
  })

  test('another thread takes part, and what it found is forgotten afterwards', async () => {
    const { threads: subject, asked } = counting({ threads: 1 })
    const checks = Array.from({ length: 200 }, (_, i) => check(i))
    const [first] = checks as [SignatureCheck]
    let checkedHere = checks.length
    const run = async () => {
      const before = asked()
      for (const { signature, digest, publicKey: key } of checks) {
        expect(subject.verify(signature, digest, key)).toBe(true)
        await new Promise(setImmediate)
      }
      checkedHere = asked() - before
      // Inside a run nothing new is begun.
      await subject.during(
        () => expect.fail('not asked for'),
        () => Promise.resolve(),
      )
      // The same signature over something else is no known one.
      expect(subject.verify(first.signature, sha256(first.digest), publicKey)).toBe(false)
    }
    // A new thread takes a moment to start.
    await vi.waitFor(
      async () => {
        await subject.during(() => checks, run)
        expect(checkedHere).toBeLessThan(checks.length)
      },
      { timeout: 20_000 },
    )
    const before = asked()
    expect(verdicts(checks, (...triple) => subject.verify(...triple))).not.toContain(false)
    expect(asked()).toBe(before + checks.length)
  }, 30_000)

  test('few are not worth the way to another thread', async () => {
    const { threads: subject, asked } = counting({ threads: 1, checksMin: 3 })
    await subject.during(
      () => [check(1), check(2)],
      () => Promise.resolve(),
    )
    expect(asked()).toBe(0)
  })

  test('what runs may fail: the failure comes out and nothing is kept', async () => {
    const { threads: subject, asked } = counting({ threads: 1 })
    const failed = subject.during(
      () => [check(1)],
      () => Promise.reject(new Error('no block')),
    )
    await expect(failed).rejects.toThrow('no block')
    const before = asked()
    expect(subject.verify(check(1).signature, check(1).digest, publicKey)).toBe(true)
    expect(asked()).toBe(before + 1)
  })

  test('after a stop, or with a thread that died, the main thread does the work', async () => {
    const { threads: subject } = counting({ threads: 2 })
    const checks = mixed(60)
    const run = () => Promise.resolve(verdicts(checks, (...triple) => subject.verify(...triple)))
    const first = await subject.during(() => checks, run)
    const [, second] = await Promise.all([subject.stop(), subject.during(() => checks, run)])
    expect(second).toEqual(first)
    expect(await subject.during(() => checks, run)).toEqual(first)
  })
})

describe('shared checks', () => {
  const checks = mixed(50)
  const counted = (shares: SignatureShares) => {
    let asked = 0
    workOff(shares, { ...secp, verify: (...triple) => secp.verify(...triple) && ++asked > 0 })
    return asked
  }
  const wellFormed = checks.filter(({ signature }) => signature.length === 64)

  test('are taken once, and only the very triple that was checked counts as valid', () => {
    const shares = shareChecks(wellFormed)
    expect(counted(shares)).toBe(10)
    expect(counted(shares)).toBe(0)
    const known = new SharedVerdicts(wellFormed, shares)
    for (const { signature, digest, publicKey: key } of wellFormed) {
      const isGood = secp.verify(signature, digest, key)
      expect(known.isValid(signature, digest, key)).toBe(isGood)
      expect(known.isValid(signature, sha256(digest), key)).toBe(false)
      expect(known.isValid(signature, digest, new Uint8Array(33).fill(2))).toBe(false)
      // Equal bytes somewhere else are another signature, which the rule checks itself.
      expect(known.isValid(signature.slice(), digest, key)).toBe(false)
    }
  })

  test('what the executing thread has passed is not checked any more', () => {
    const good = Array.from({ length: 50 }, (_, i) => check(i))
    const shares = shareChecks(good)
    const known = new SharedVerdicts(good, shares)
    for (const { signature, digest, publicKey: key } of good.slice(0, 21)) {
      expect(known.isValid(signature, digest, key)).toBe(false)
    }
    expect(counted(shares)).toBe(29)
    const late = shareChecks(good)
    new SharedVerdicts(good, late).end()
    expect(counted(late)).toBe(0)
  })
})
