import { createBase58check } from '@scure/base'
import { assert } from '../bytes/assert.ts'
import { hash160, sha256 } from '../bytes/hash.ts'
import { concatBytes } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { InternalHash } from './hash-orientation.ts'
import { PROGRAM_HASH_BYTES } from './transaction-output.ts'

/** First byte of a program hash, which decides the first letter of its address. */
export const AddressPrefix = {
  standard: 0x21,
  multisig: 0x12,
  crossChain: 0x4b,
  deposit: 0x1f,
  did: 0x67,
  stake: 0x3f,
  council: 0x1c,
} as const

/** With 21 bytes, none of these prefixes zero, base58check always gives 34 characters. */
const ADDRESS_LENGTH = 34
const ADDRESS_PREFIXES: ReadonlySet<number> = new Set(Object.values(AddressPrefix))

const OP_PUSH_KEY = 0x21
const OP_PUSH_HASH = 0x20
const OP_MULTISIG_BASE = 0x50
const OP_SCHNORR = 0x51
const OP_CHECKSIG = 0xac
const OP_MULTISIG = 0xae
const OP_CROSS_CHAIN = 0xaf
const KEY_BYTES = 33
/** Arbiters and council together; bounds how many signatures one program can make us check. */
const MULTISIG_KEYS_MAX = 36

const base58check = createBase58check((data: Uint8Array) => sha256(data))

/** Prefix ‖ RIPEMD160(SHA256(code)), 21 bytes: who may spend an output. */
export function programHashOf(prefix: number, code: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(prefix), hash160(code))
}

export function formatElaAddress(programHash: Uint8Array): string {
  assert(programHash.length === PROGRAM_HASH_BYTES, 'a program hash has 21 bytes')
  return base58check.encode(programHash)
}

/** Parses untrusted address text to its 21-byte program hash. */
export function parseElaAddress(text: string): Result<Uint8Array> {
  if (text.length !== ADDRESS_LENGTH) {
    return fault('ELA_ADDRESS_MALFORMED', 'an ELA address has 34 characters')
  }
  try {
    const programHash = base58check.decode(text)
    if (programHash.length !== PROGRAM_HASH_BYTES || !ADDRESS_PREFIXES.has(programHash[0] ?? 0)) {
      return fault('ELA_ADDRESS_MALFORMED', 'not an ELA address: its kind does not exist')
    }
    return ok(programHash)
  } catch {
    return fault('ELA_ADDRESS_MALFORMED', 'not an ELA address: check it for typing errors')
  }
}

/** The code of an ordinary address: one key, one signature. */
export function standardCode(publicKey: Uint8Array): Uint8Array {
  assert(publicKey.length === KEY_BYTES, 'a public key has 33 bytes')
  return concatBytes(Uint8Array.of(OP_PUSH_KEY), publicKey, Uint8Array.of(OP_CHECKSIG))
}

export function standardProgramHash(publicKey: Uint8Array): Uint8Array {
  return programHashOf(AddressPrefix.standard, standardCode(publicKey))
}

/**
 * m-of-n code, keys sorted by X coordinate. `crossChain` gives the form with which arbiters
 * spend an X address; its program hash is not that of the address.
 */
export function multisigCode(
  required: number,
  publicKeys: readonly Uint8Array[],
  crossChain = false,
): Uint8Array {
  assert(publicKeys.length <= MULTISIG_KEYS_MAX, 'too many keys')
  assert(required >= 1 && required <= publicKeys.length, 'm is between 1 and n')
  const sorted = [...publicKeys].sort((a, b) => compareX(a, b))
  const parts: Uint8Array[] = [Uint8Array.of(OP_MULTISIG_BASE + required)]
  for (const key of sorted) parts.push(Uint8Array.of(OP_PUSH_KEY), key)
  const end = crossChain ? OP_CROSS_CHAIN : OP_MULTISIG
  parts.push(Uint8Array.of(OP_MULTISIG_BASE + sorted.length, end))
  return concatBytes(...parts)
}

function compareX(a: Uint8Array, b: Uint8Array): number {
  for (let i = 1; i < KEY_BYTES; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * Program hash of a side chain's deposit address (it starts with X), from the genesis hash in
 * internal order. The display order gives a plausible address that nobody can ever spend from.
 */
export function crossChainProgramHash(sideGenesis: InternalHash): Uint8Array {
  return programHashOf(AddressPrefix.crossChain, crossChainCode(sideGenesis))
}

export function crossChainCode(sideGenesis: InternalHash): Uint8Array {
  return concatBytes(Uint8Array.of(OP_PUSH_HASH), sideGenesis, Uint8Array.of(OP_CROSS_CHAIN))
}

export type ParsedCode =
  | { readonly kind: 'standard'; readonly publicKey: Uint8Array }
  | {
      readonly kind: 'multisig'
      readonly required: number
      readonly publicKeys: readonly Uint8Array[]
      readonly crossChain: boolean
    }
  | { readonly kind: 'schnorr'; readonly publicKey: Uint8Array }

/** Recognises the codes that the main chain runs. */
export function parseCode(code: Uint8Array): Result<ParsedCode> {
  const last = code[code.length - 1]
  if (code.length === 35 && code[0] === OP_PUSH_KEY && last === OP_CHECKSIG) {
    return ok({ kind: 'standard', publicKey: code.slice(1, 34) })
  }
  if (code.length === 35 && code[0] === OP_SCHNORR && code[1] === OP_PUSH_KEY) {
    return ok({ kind: 'schnorr', publicKey: code.slice(2) })
  }
  if (last === OP_MULTISIG || last === OP_CROSS_CHAIN) {
    return parseMultisig(code, last === OP_CROSS_CHAIN)
  }
  return fault('MAIN_PROGRAM_CODE', 'the code of a program has no known form')
}

function parseMultisig(code: Uint8Array, crossChain: boolean): Result<ParsedCode> {
  const keyCount = (code.length - 3) / (KEY_BYTES + 1)
  const required = (code[0] as number) - OP_MULTISIG_BASE
  const stated = (code[code.length - 2] ?? 0) - OP_MULTISIG_BASE
  if (!Number.isInteger(keyCount) || keyCount < 1 || keyCount > MULTISIG_KEYS_MAX) {
    return fault('MAIN_PROGRAM_CODE', `a multisig code has 1 to ${MULTISIG_KEYS_MAX} keys`)
  }
  if (stated !== keyCount || required < 1 || required > keyCount) {
    return fault('MAIN_PROGRAM_CODE', 'the numbers of a multisig code do not fit its keys')
  }
  const publicKeys: Uint8Array[] = []
  for (let i = 0; i < keyCount; i++) {
    const start = 1 + i * (KEY_BYTES + 1)
    if (code[start] !== OP_PUSH_KEY) {
      return fault('MAIN_PROGRAM_CODE', 'a multisig code holds something else than keys')
    }
    publicKeys.push(code.slice(start + 1, start + 1 + KEY_BYTES))
  }
  return ok({ kind: 'multisig', required, publicKeys, crossChain })
}
