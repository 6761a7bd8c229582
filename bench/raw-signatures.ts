import {
  assert,
  publicKeyOf,
  pureSecp256k1,
  type Secp256k1,
  sha256,
  utf8ToBytes,
} from '@ioex/chain/bytes'
import { nativeSecp256k1 } from '@ioex/chain/native'

const native = nativeSecp256k1()
/** secp256k1 as fast as this machine has it, without anything of ours around it. */
const raw: Secp256k1 = native ?? pureSecp256k1
const KEYS = 32

const samples = Array.from({ length: KEYS }, (_, i) => {
  const secretKey = sha256(utf8ToBytes(`key ${i} of a benchmark`))
  const digest = sha256(secretKey)
  return { secretKey, digest, key: publicKeyOf(secretKey), signature: raw.sign(digest, secretKey) }
})

/** How the limit is called in a report. */
export const RAW_VERIFY = `${native ? 'native' : 'portable'} secp256k1 verify`

/** Verifies so many signatures of a few keys, one after the other. */
export function verifyRaw(count: number): void {
  for (let i = 0; i < count; i++) {
    const { digest, key, signature } = samples[i % KEYS] as (typeof samples)[number]
    assert(raw.verify(signature, digest, key), 'a signature of our own is valid')
  }
}

export function signRaw(count: number): void {
  for (let i = 0; i < count; i++) {
    const { digest, secretKey } = samples[i % KEYS] as (typeof samples)[number]
    raw.sign(digest, secretKey)
  }
}
