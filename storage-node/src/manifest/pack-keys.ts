import { assert, concatBytes, utf8ToBytes } from '@ioex/chain/bytes'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'

/**
 * Keys of a pack, all from the owner's master secret, so that a seed phrase finds everything
 * again (PROTOCOL 5.1, 5.5, docs/protocol/storage-layout.md). HKDF-SHA256 (RFC 5869); the info
 * string separates the purposes. Ciphers are the shell's affair; their nonces are defined here.
 */

export const KEY_BYTES = 32
const CONTRACT_SALT_BYTES = 32
export const NONCE_BYTES = 12
/** Bytes that sealing adds to a label or manifest: nonce in front, tag behind. */
export const ENVELOPE_BYTES = NONCE_BYTES + 16
const MASTER_BYTES_MIN = 32
const AES_BLOCK_BYTES = 16

function derive(secret: Uint8Array, salt: Uint8Array, info: Uint8Array): Uint8Array {
  return hkdf(sha256, secret, salt, info, KEY_BYTES)
}

function purpose(name: string): Uint8Array {
  return utf8ToBytes(`ioex/v1/${name}`)
}

function assertSecrets(master: Uint8Array, contractSalt: Uint8Array): void {
  assert(master.length >= MASTER_BYTES_MIN, 'a master secret has at least 32 bytes')
  assert(contractSalt.length === CONTRACT_SALT_BYTES, 'a contract salt has 32 bytes')
}

/** Key that seals the contract's label: what the owner can derive from the chain alone. */
export function labelKey(master: Uint8Array, contractSalt: Uint8Array): Uint8Array {
  assertSecrets(master, contractSalt)
  return derive(master, contractSalt, purpose('label'))
}

/** Key of the contract's masks: what a repair delegate gets. It reads nothing (PROTOCOL 5.1). */
export function maskKey(master: Uint8Array, contractSalt: Uint8Array): Uint8Array {
  assertSecrets(master, contractSalt)
  return derive(master, contractSalt, purpose('mask'))
}

/** AES-256-CTR key of slot i's mask: HKDF(maskKey, salt || i), i as u32 little-endian. */
export function slotMaskKey(mask: Uint8Array, contractSalt: Uint8Array, slot: number): Uint8Array {
  assert(Number.isInteger(slot) && slot >= 0 && slot < 256, 'slot numbers are bytes')
  const info = concatBytes(purpose('slot-mask'), littleEndian(slot, 4))
  return derive(mask, contractSalt, info)
}

/**
 * The key salt of a pack is a MAC of its manifest, which commits to the SHA-256 of every content.
 * So no two different packs ever share a cell key, whatever crashes, clones or restored backups
 * do to counters; and the same pack resumed has the same bytes.
 */
export function packKeySalt(master: Uint8Array, encodedManifest: Uint8Array): Uint8Array {
  assert(master.length >= MASTER_BYTES_MIN, 'a master secret has at least 32 bytes')
  const key = derive(master, new Uint8Array(0), purpose('key-salt'))
  return hmac(sha256, key, encodedManifest)
}

/** What reads one pack in one contract. */
export interface PackKeys {
  /** AES-256-GCM key of the cells. */
  readonly cellKey: Uint8Array
  /** Seals the manifest, and with it the content keys. */
  readonly manifestKey: Uint8Array
}

/**
 * The pack key is bound to the contract as well: the same pack in a second contract must not be
 * sealed under the same key and nonces with other associated data.
 */
export function packKeys(
  master: Uint8Array,
  contractSalt: Uint8Array,
  keySalt: Uint8Array,
): PackKeys {
  assertSecrets(master, contractSalt)
  assert(keySalt.length === KEY_BYTES, 'a key salt has 32 bytes')
  const packKey = derive(master, concatBytes(contractSalt, keySalt), purpose('pack'))
  return {
    cellKey: derive(packKey, contractSalt, purpose('cell')),
    manifestKey: derive(packKey, contractSalt, purpose('manifest')),
  }
}

/** GCM nonce of a data cell: its number in the pack, u64 little-endian, then four zero bytes. */
export function cellNonce(cellNumber: number): Uint8Array {
  return littleEndian(cellNumber, NONCE_BYTES)
}

/** Associated data of a cell: contract salt, then its number as u64 little-endian. */
export function cellAssociatedData(contractSalt: Uint8Array, cellNumber: number): Uint8Array {
  return concatBytes(contractSalt, littleEndian(cellNumber, 8))
}

/**
 * Nonce of a label or manifest: a MAC of the plaintext, so that sealing something else under the
 * same key takes another nonce without anybody keeping count.
 */
export function envelopeNonce(key: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const nonceKey = derive(key, new Uint8Array(0), purpose('nonce'))
  return hmac(sha256, nonceKey, plaintext).slice(0, NONCE_BYTES)
}

/** AES-CTR counter block of the keystream at a byte offset: floor(offset / 16), big-endian. */
export function counterBlock(byteOffset: number): Uint8Array {
  assert(Number.isSafeInteger(byteOffset) && byteOffset >= 0, 'a keystream starts at 0')
  return littleEndian(Math.floor(byteOffset / AES_BLOCK_BYTES), AES_BLOCK_BYTES).reverse()
}

function littleEndian(value: number, bytes: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, 'counters are safe integers')
  const encoded = new Uint8Array(bytes)
  let rest = value
  for (let i = 0; rest > 0; i++) {
    encoded[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return encoded
}
