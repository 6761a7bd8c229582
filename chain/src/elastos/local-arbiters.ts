import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import { p256PublicKey } from './p256.ts'

/** Arbiters of the built-in main chain; the real one has twelve. */
export const LOCAL_ARBITERS = 5

/**
 * P-256 secrets of the built-in main chain's arbiters. Everybody knows them: they guard nothing
 * but the play money of networks on one machine.
 */
export const LOCAL_ARBITER_SECRETS: readonly Uint8Array[] = Array.from(
  { length: LOCAL_ARBITERS },
  (_item, index) => sha256(utf8ToBytes(`ioex local arbiter ${index}`)),
)

/** Their compressed public keys. */
export const LOCAL_ARBITER_KEYS: readonly Uint8Array[] = LOCAL_ARBITER_SECRETS.map(p256PublicKey)

export const LOCAL_ARBITER_KEYS_HEX: readonly string[] = LOCAL_ARBITER_KEYS.map(bytesToHex)
