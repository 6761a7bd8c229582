import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { bytesToHex, fromHex, publicKeyOf } from '@ioex/chain/bytes'
import { HDKey } from '@scure/bip32'
import { mnemonicToSeedSync } from '@scure/bip39'
import { expect, test } from 'vitest'
import { createSeedPhrase, isSeedPhrase, normaliseSeedPhrase, ownerKeyOf } from './owner-key.ts'
import { OWNER_KEY_PATH } from './owner-key-path.ts'

const PHRASE = `${'abandon '.repeat(23)}art`

/** BIP-39 and BIP-32 once more, from their texts, on Node's own primitives. */
function derive(phrase: string, path: string): Buffer {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const seed = pbkdf2Sync(phrase, 'mnemonic', 2048, 64, 'sha512')
  let node = createHmac('sha512', 'Bitcoin seed').update(seed).digest()
  for (const step of path.split('/').slice(1)) {
    const isHardened = step.endsWith("'")
    const index = Buffer.alloc(4)
    index.writeUInt32BE(Number.parseInt(step, 10) + (isHardened ? 0x8000_0000 : 0))
    const [key, chainCode] = [node.subarray(0, 32), node.subarray(32)]
    const data = isHardened ? Buffer.concat([Buffer.alloc(1), key]) : publicKeyOf(key)
    const next = createHmac('sha512', chainCode).update(data).update(index).digest()
    const left = BigInt(`0x${next.subarray(0, 32).toString('hex')}`)
    const sum = (left + BigInt(`0x${key.toString('hex')}`)) % order
    const child = Buffer.from(sum.toString(16).padStart(64, '0'), 'hex')
    node = Buffer.concat([child, next.subarray(32)])
  }
  return node.subarray(0, 32)
}

test('keys are those of BIP-39 and BIP-32 under the documented path', () => {
  for (const index of [0, 1, 7]) {
    const { secretKey, publicKey, address } = ownerKeyOf(PHRASE, index)
    expect(bytesToHex(secretKey)).toBe(derive(PHRASE, `${OWNER_KEY_PATH}/${index}`).toString('hex'))
    expect(publicKey).toEqual(publicKeyOf(secretKey))
    const sha = createHash('sha256').update(publicKey).digest()
    expect(bytesToHex(address)).toBe(createHash('ripemd160').update(sha).digest('hex'))
  }
})

test('published vectors: a seed of 24 words, chain m/0h of BIP-32 vector 1', () => {
  expect(bytesToHex(mnemonicToSeedSync(PHRASE))).toBe(
    '408b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf70' +
      '5489c6fc77dbd4e3dc1dd8cc6bc9f043db8ada1e243c4a0eafb290d399480840',
  )
  const seed = fromHex('000102030405060708090a0b0c0d0e0f')
  expect(HDKey.fromMasterSeed(seed).derive("m/0'").publicExtendedKey).toBe(
    'xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9' +
      'xv5ski8PX9rL2dZXvgGDnw',
  )
})

test('24 words with a checksum', () => {
  const phrase = createSeedPhrase()
  expect(phrase.split(' ')).toHaveLength(24)
  expect(isSeedPhrase(phrase)).toBe(true)
  expect(createSeedPhrase()).not.toBe(phrase)
  expect(isSeedPhrase(PHRASE)).toBe(true)
  expect(isSeedPhrase(PHRASE.replace('art', 'abandon'))).toBe(false)
  expect(isSeedPhrase(`${'abandon '.repeat(11)}about`)).toBe(false)
  expect(isSeedPhrase('')).toBe(false)
  expect(normaliseSeedPhrase(`  ${PHRASE.toUpperCase().replaceAll(' ', '\n ')}\n`)).toBe(PHRASE)
})
