import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  addressOf,
  bytesToHex,
  decodeCanonical,
  parseHex,
  publicKeyOf,
  signingDigest,
  verifySignature,
} from '@ioex/chain/bytes'
import { NodeBindingType, type NodeIdentity, NodeIdentityType } from '@ioex/chain/types'
import { bindNode } from '@ioex/storage-node/node'
import writeFileAtomic from 'write-file-atomic'
import { z } from 'zod'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { KeyFileError } from '../keys/sealed-secret.ts'
import { keyPath } from '../operate/node-keys.ts'
import { readKey } from './key-file.ts'

/** Whom a node works for: the owner's signature, and the owner's key only where it lies here. */
export interface NodeOwner {
  readonly identity: NodeIdentity
  readonly ownerKey: Uint8Array | undefined
}

const IDENTITY_BYTES_MAX = 256
const IdentityFileSchema = z.strictObject({
  format: z.literal('ioex-identity/1'),
  /** Hex; an identity is for one network. */
  chainId: z.string(),
  nodeKey: z.string(),
  /** SSZ NodeIdentity, hex. */
  identity: z.string(),
})

export const identityPath = (data: string) => join(data, 'keys', 'identity.json')

/**
 * Lets a node work for an owner without holding the owner's key (PROTOCOL 3: it is cold, and the
 * node can only pay to the payout address that the owner signed).
 */
export async function writeIdentity(
  data: string,
  chainId: Uint8Array,
  ownerKey: Uint8Array,
  nodeKey: Uint8Array,
  payout: Uint8Array,
): Promise<void> {
  const identity = bindNode(chainId, ownerKey, nodeKey, payout)
  const file: z.infer<typeof IdentityFileSchema> = {
    format: 'ioex-identity/1',
    chainId: bytesToHex(chainId),
    nodeKey: bytesToHex(nodeKey),
    identity: bytesToHex(NodeIdentityType.serialize(identity)),
  }
  await writeFileAtomic(identityPath(data), `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 })
}

/** The owner's binding from identity.json, else made with an owner key that lies in the folder. */
export async function openOwner(
  data: string,
  chainId: Uint8Array,
  nodeKey: Uint8Array,
  passphrase: PassphraseSource,
): Promise<NodeOwner> {
  const path = identityPath(data)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    const ownerKey = await readKey(keyPath(data, 'owner'), 'owner', passphrase)
    const payout = addressOf(publicKeyOf(ownerKey))
    return { identity: bindNode(chainId, ownerKey, nodeKey, payout), ownerKey }
  }
  const identity = parseIdentity(text, chainId, nodeKey)
  if (identity) return { identity, ownerKey: undefined }
  throw new KeyFileError(
    'KEY_FILE_DAMAGED',
    `${path} is damaged, or binds another node or network: make it again with "ioex node init"`,
  )
}

function parseIdentity(
  text: string,
  chainId: Uint8Array,
  nodeKey: Uint8Array,
): NodeIdentity | undefined {
  const file = IdentityFileSchema.safeParse(parseJson(text))
  if (!file.success) return undefined
  const bytes = parseHex(file.data.identity, IDENTITY_BYTES_MAX)
  const identity = bytes.ok
    ? decodeCanonical(NodeIdentityType, bytes.value, IDENTITY_BYTES_MAX)
    : bytes
  if (!identity.ok || file.data.chainId !== bytesToHex(chainId)) return undefined
  const { owner, payout, signature } = identity.value
  const root = NodeBindingType.hashTreeRoot({ nodeKey, payout })
  const digest = signingDigest('possession', chainId, root)
  return verifySignature(signature, digest, owner) ? identity.value : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
