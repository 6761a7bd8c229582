import { privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey, peerIdFromPublicKey } from '@libp2p/peer-id'

/** libp2p peer id of a node key: the secp256k1 secret is the libp2p identity. */
export function peerIdOf(nodeKey: Uint8Array): string {
  return peerIdFromPrivateKey(privateKeyFromRaw(nodeKey)).toString()
}

/** The same from the public half, 33 bytes. */
export function peerIdOfKey(publicKey: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
}
