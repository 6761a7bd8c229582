import { createCipheriv, type KeyObject } from 'node:crypto'
import { counterBlock } from '../manifest/pack-keys.ts'

const AES_BLOCK_BYTES = 16

/** Xors the next bytes of a keystream onto its input; encrypts and decrypts alike. */
export type Keystream = (bytes: Uint8Array) => Uint8Array

/**
 * AES-256-CTR keystream from any byte offset on: the mask of a slot (PROTOCOL 5.1) and the cipher
 * of a content. Calls go on where the last one ended.
 */
export function createKeystream(key: KeyObject, byteOffset: number): Keystream {
  const cipher = createCipheriv('aes-256-ctr', key, counterBlock(byteOffset))
  const skipped = byteOffset % AES_BLOCK_BYTES
  if (skipped > 0) cipher.update(new Uint8Array(skipped))
  return (bytes) => cipher.update(bytes)
}

/** Bytes of a slot or content that start at `byteOffset`, masked or unmasked alone. */
export function xorKeystream(key: KeyObject, byteOffset: number, bytes: Uint8Array): Uint8Array {
  return createKeystream(key, byteOffset)(bytes)
}

/** A stream of bytes, en- or deciphered from `byteOffset` on. */
export async function* throughKeystream(
  source: AsyncIterable<Uint8Array>,
  key: KeyObject,
  byteOffset: number,
): AsyncGenerator<Uint8Array> {
  const keystream = createKeystream(key, byteOffset)
  for await (const chunk of source) yield keystream(chunk)
}
