import { createCipheriv, createDecipheriv } from 'node:crypto'
import { concatBytes } from '@ioex/chain/bytes'
import { ENVELOPE_BYTES, envelopeNonce, NONCE_BYTES } from '../manifest/pack-keys.ts'
import { SealBrokenError } from './seal-errors.ts'

const CIPHER = 'aes-256-gcm'
const TAG_BYTES = ENVELOPE_BYTES - NONCE_BYTES

/**
 * Seals a label or manifest: nonce 12 || ciphertext || tag 16, bound to its contract's salt. The
 * same input gives the same bytes.
 */
export function sealEnvelope(
  key: Uint8Array,
  contractSalt: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const nonce = envelopeNonce(key, plaintext)
  const cipher = createCipheriv(CIPHER, key, nonce)
  cipher.setAAD(contractSalt)
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return concatBytes(nonce, ciphertext, cipher.getAuthTag())
}

/**
 * Opens a label or manifest. Throws SealBrokenError on anything that was not sealed so: on the
 * chain a label may hold whatever its payer put there.
 */
export function openEnvelope(
  thing: 'label' | 'manifest',
  key: Uint8Array,
  contractSalt: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  if (sealed.length < ENVELOPE_BYTES) throw new SealBrokenError(thing)
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES))
  decipher.setAAD(contractSalt)
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES))
  try {
    decipher.final()
  } catch {
    throw new SealBrokenError(thing)
  }
  // Not the Buffer itself: a decoder that slices it would keep views instead of copies.
  return new Uint8Array(plaintext)
}
