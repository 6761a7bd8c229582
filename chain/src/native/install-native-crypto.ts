import { getHashes, hash as nodeHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type * as Binding from 'secp256k1'
import { digest } from '@chainsafe/as-sha256'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { setRipemd160, setSha256 } from '../bytes/hash.ts'
import { type Secp256k1, setSecp256k1 } from '../bytes/signature.ts'

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
  const native = nativeSecp256k1()
  if (native) setSecp256k1(native)
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
  let binding: typeof Binding
  try {
    binding = createRequire(import.meta.url)('secp256k1/bindings.js') as typeof Binding
  } catch {
    return undefined
  }
  return {
    sign: (digest, secretKey) => binding.ecdsaSign(digest, secretKey).signature,
    verify(signature, digest, publicKey) {
      if (signature.length !== 64 || publicKey.length !== 33) return false
      try {
        return isLowS(signature) && binding.ecdsaVerify(signature, digest, publicKey)
      } catch {
        return false
      }
    },
    publicKey: (secretKey) => binding.publicKeyCreate(secretKey),
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
