import { addressOf, assert } from '@ioex/chain/bytes'
import { HDKey } from '@scure/bip32'
import { generateMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { OWNER_KEY_PATH } from './owner-key-path.ts'

/** 24 words: 256 bits of randomness and a checksum (BIP-39, English). */
const ENTROPY_BITS = 256

export interface OwnerKey {
  readonly secretKey: Uint8Array
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  readonly address: Uint8Array
}

export function createSeedPhrase(): string {
  return generateMnemonic(wordlist, ENTROPY_BITS)
}

/** Lower case, single spaces: how people's copies are brought back to the words. */
export function normaliseSeedPhrase(text: string): string {
  return text.normalize('NFKD').trim().toLowerCase().split(/\s+/).join(' ')
}

/** 24 words of the list whose checksum is right. */
export function isSeedPhrase(phrase: string): boolean {
  return phrase.split(' ').length === 24 && validateMnemonic(phrase, wordlist)
}

/** The owner key with this index under OWNER_KEY_PATH; 0 is the wallet's own. */
export function ownerKeyOf(phrase: string, index = 0): OwnerKey {
  const node = HDKey.fromMasterSeed(mnemonicToSeedSync(phrase)).derive(`${OWNER_KEY_PATH}/${index}`)
  const { privateKey, publicKey } = node
  assert(privateKey && publicKey, 'a derived key has both halves')
  return { secretKey: privateKey, publicKey, address: addressOf(publicKey) }
}
