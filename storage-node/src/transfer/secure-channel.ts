import type { Duplex } from 'node:stream'
import { connect, type SecureContext, TLSSocket } from 'node:tls'
import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import {
  bytesEqual,
  bytesToHex,
  decodeCanonical,
  publicKeyOf,
  sha256,
  sign,
  signingDigest,
  utf8ToBytes,
  verifySignature,
} from '@ioex/chain/bytes'
import { PublicKeyBytes, SignatureBytes } from '@ioex/chain/types'
import { FrameConnection, FrameKind, type FrameOptions } from './frame-connection.ts'
import { reasonOf, TransferError } from './transfer-error.ts'

/** Who this side is. */
export interface ChannelIdentity {
  readonly chainId: Uint8Array
  /** secp256k1 secret of the node key, 32 bytes. */
  readonly nodeKey: Uint8Array
  /** Secret of an owner key that this side proves to hold as well: whoever pays. */
  readonly ownerKey?: Uint8Array | undefined
}

/** An encrypted connection whose other end proved its keys. */
export interface SecureChannel {
  /** Node key of the peer, 33 bytes. */
  readonly peerKey: Uint8Array
  /** Owner key that the peer proved to hold, if it did. */
  readonly peerOwnerKey: Uint8Array | undefined
  readonly frames: FrameConnection
}

const KeyProofType = new ContainerType({ key: PublicKeyBytes, signature: SignatureBytes })
const HelloType = new ContainerType({
  node: KeyProofType,
  owner: new ListCompositeType(KeyProofType, 1),
})
const HELLO_BYTES_MAX = 256
const EXPORTER_LABEL = 'EXPERIMENTAL ioex identity'
const HANDSHAKE_MS = 10_000
const IDLE_MS = 120_000
type Role = 'client' | 'server'

/**
 * Opens a channel over a connected stream. `socket` is a TCP socket or any other byte stream,
 * such as one spliced by a relay. Throws PEER_IDENTITY where the other end is not `expectedPeer`
 * (33-byte node key), PEER_UNREACHABLE where the handshake fails.
 */
export async function openSecureChannel(
  socket: Duplex,
  identity: ChannelIdentity,
  options: { expectedPeer: Uint8Array } & FrameOptions,
): Promise<SecureChannel> {
  const tls = connect({
    socket,
    minVersion: 'TLSv1.3',
    // The certificate proves nothing here: the peer signs this very session instead.
    rejectUnauthorized: false,
  })
  return secure(tls, { role: 'client', event: 'secureConnect', identity, ...options })
}

/** Accepts a channel: any peer may come; who it is stands in the result. */
export async function acceptSecureChannel(
  socket: Duplex,
  identity: ChannelIdentity,
  options: { credentials: SecureContext } & FrameOptions,
): Promise<SecureChannel> {
  const tls = new TLSSocket(socket as ConstructorParameters<typeof TLSSocket>[0], {
    isServer: true,
    secureContext: options.credentials,
  })
  return secure(tls, { role: 'server', event: 'secure', identity, ...options })
}

interface Handshake extends FrameOptions {
  readonly role: Role
  readonly event: 'secure' | 'secureConnect'
  readonly identity: ChannelIdentity
  readonly expectedPeer?: Uint8Array
}

async function secure(tls: TLSSocket, handshake: Handshake): Promise<SecureChannel> {
  // Errors show where the channel is used; one between two uses must not end the process.
  tls.on('error', () => {})
  const timer = setTimeout(() => {
    tls.destroy(new TransferError('PEER_SILENT', 'the peer did not finish the handshake in time'))
  }, HANDSHAKE_MS)
  try {
    await established(tls, handshake.event)
    const keying = tls.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
    const frames = new FrameConnection(tls, handshake)
    const { role, identity } = handshake
    await frames.send(FrameKind.hello, helloOf(identity, keying, role))
    const frame = await frames.receive()
    const peer = verifyHello(
      identity.chainId,
      frame,
      keying,
      role === 'client' ? 'server' : 'client',
    )
    if (handshake.expectedPeer && !bytesEqual(peer.peerKey, handshake.expectedPeer)) {
      const wanted = bytesToHex(handshake.expectedPeer)
      throw new TransferError(
        'PEER_IDENTITY',
        `expected node ${wanted} but ${bytesToHex(peer.peerKey)} answered: its offer is outdated`,
      )
    }
    tls.setTimeout(IDLE_MS, () => {
      frames.destroy(new TransferError('PEER_SILENT', 'no byte moved for two minutes'))
    })
    return { ...peer, frames }
  } catch (error) {
    tls.destroy()
    if (error instanceof TransferError) throw error
    throw new TransferError('PEER_UNREACHABLE', `no secure connection: ${reasonOf(error)}`, {
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

function established(tls: TLSSocket, event: Handshake['event']): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('closed during the handshake'))
    tls.once('error', reject)
    tls.once('close', onClose)
    tls.once(event, () => {
      tls.off('error', reject)
      tls.off('close', onClose)
      resolve()
    })
  })
}

/**
 * What a key signs: the session's exported keying material, which no other session shares, and
 * the role, so that a hello cannot be sent back to its author (a man in the middle has two
 * sessions with two different materials).
 */
function proofDigest(chainId: Uint8Array, keying: Uint8Array, role: string): Uint8Array {
  return signingDigest('channel', chainId, sha256(keying, utf8ToBytes(role)))
}

function helloOf(identity: ChannelIdentity, keying: Uint8Array, role: Role): Uint8Array {
  const prove = (secret: Uint8Array, as: string) => ({
    key: publicKeyOf(secret),
    signature: sign(proofDigest(identity.chainId, keying, as), secret),
  })
  return HelloType.serialize({
    node: prove(identity.nodeKey, role),
    owner: identity.ownerKey ? [prove(identity.ownerKey, `${role} owner`)] : [],
  })
}

function verifyHello(
  chainId: Uint8Array,
  frame: { kind: number; payload: Uint8Array } | undefined,
  keying: Uint8Array,
  role: Role,
): { peerKey: Uint8Array; peerOwnerKey: Uint8Array | undefined } {
  if (frame?.kind !== FrameKind.hello) {
    throw new TransferError('PEER_PROTOCOL', 'the peer did not say who it is')
  }
  const hello = decodeCanonical(HelloType, frame.payload, HELLO_BYTES_MAX)
  if (!hello.ok) throw new TransferError('PEER_PROTOCOL', hello.fault.message)
  const { node, owner } = hello.value
  const proven = (proof: ValueOf<typeof KeyProofType>, as: string) =>
    verifySignature(proof.signature, proofDigest(chainId, keying, as), proof.key)
  const ownerProof = owner[0]
  if (!proven(node, role) || (ownerProof && !proven(ownerProof, `${role} owner`))) {
    throw new TransferError('PEER_IDENTITY', 'the peer does not hold the keys it names')
  }
  return { peerKey: node.key, peerOwnerKey: ownerProof?.key }
}
