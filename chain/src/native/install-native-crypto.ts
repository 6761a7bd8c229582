import { getHashes, hash as nodeHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type * as Binding from 'secp256k1'
import { digest } from '@chainsafe/as-sha256'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { setRipemd160, setSha256 } from '../bytes/hash.ts'
import {
  PUBLIC_KEY_BYTES,
  type Secp256k1,
  setAddressOf,
  setSecp256k1,
  SIGNATURE_BYTES,
} from '../bytes/signature.ts'
import { KnownKeys } from './known-keys.ts'

/** What was found on this machine; 'pure' means the portable code with the same answers. */
export interface NativeCrypto {
  readonly secp256k1: 'native' | 'pure'
  readonly hasher: 'hashtree' | 'as-sha256'
}

/** Up to here WebAssembly hashes sooner than a call into OpenSSL begins. */
const SHORT_BYTES = 128

/**
 * Puts native hashing and signature checking behind the pure rooms. Called once at the start of
 * every process, before anything is hashed.
 */
export async function installNativeCrypto(): Promise<NativeCrypto> {
  setSha256((data) =>
    data.length <= SHORT_BYTES ? digest(data) : new Uint8Array(nodeHash('sha256', data, 'buffer')),
  )
  if (getHashes().includes('ripemd160')) {
    setRipemd160((data) => new Uint8Array(nodeHash('ripemd160', data, 'buffer')))
  }
  const native = knowingSecp256k1()
  if (native) {
    setSecp256k1(native.secp256k1)
    setAddressOf((publicKey) => native.keys.addressOf(publicKey))
  }
  return { secp256k1: native ? 'native' : 'pure', hasher: await installHasher() }
}

async function installHasher(): Promise<NativeCrypto['hasher']> {
  try {
    const { hasher } = await import('@chainsafe/persistent-merkle-tree/hasher/hashtree')
    setHasher(hasher)
    return 'hashtree'
  } catch {
    const { hasher } = await import('@chainsafe/persistent-merkle-tree/hasher/as-sha256')
    setHasher(hasher)
    return 'as-sha256'
  }
}

/**
 * libsecp256k1 through its addon. Its package falls back to a slow library without constant
 * time when the addon is missing, so only the binding itself is loaded.
 */
export function nativeSecp256k1(): Secp256k1 | undefined {
  const binding = loadBinding()
  return (
    binding && {
      sign: (digest, secretKey) => binding.ecdsaSign(digest, secretKey).signature,
      verify: (signature, digest, publicKey) =>
        publicKey.length === PUBLIC_KEY_BYTES && verifyWith(binding, signature, digest, publicKey),
      publicKey: (secretKey) => binding.publicKeyCreate(secretKey),
    }
  )
}

interface KnowingSecp256k1 {
  readonly secp256k1: Secp256k1
  readonly keys: KnownKeys
}

let knowing: KnowingSecp256k1 | undefined

/** The same with the keys of this thread remembered, which everyone here shares. */
export function knowingSecp256k1(): KnowingSecp256k1 | undefined {
  knowing ??= makeKnowing()
  return knowing
}

function makeKnowing(): KnowingSecp256k1 | undefined {
  const binding = loadBinding()
  const native = nativeSecp256k1()
  if (!binding || !native) return undefined
  const keys = new KnownKeys({
    expand: (publicKey) => expandWith(binding, publicKey),
    verify: (signature, digest, point) => verifyWith(binding, signature, digest, point),
  })
  const verify: Secp256k1['verify'] = (...check) => keys.verify(...check)
  return { secp256k1: { ...native, verify }, keys }
}

function loadBinding(): typeof Binding | undefined {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings.js') as typeof Binding
  } catch {
    return undefined
  }
}

function verifyWith(
  binding: typeof Binding,
  signature: Uint8Array,
  digest: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  try {
    return isLowS(signature) && binding.ecdsaVerify(signature, digest, publicKey)
  } catch {
    return false
  }
}

function expandWith(binding: typeof Binding, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return binding.publicKeyConvert(publicKey, false)
  } catch {
    return undefined
  }
}

/** Half the group order, big-endian: s above it is the malleable twin of a signature. */
const HALF_ORDER = Buffer.from(
  '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0',
  'hex',
)

function isLowS(signature: Uint8Array): boolean {
  return HALF_ORDER.compare(signature, 32, 64) >= 0
}
