import { bytesToHex, parseHex, publicKeyOf } from '@ioex/chain/bytes'
import { p256PublicKey } from '@ioex/chain/elastos'
import { KeyFileError } from './sealed-secret.ts'

/** The keys a node may have; the main-chain key is on P-256, the others on secp256k1. */
export type NodeKeyKind = 'owner' | 'node' | 'consensus' | 'main-chain'

const SECRET_BYTES = 32
/** Secret, and in a second line what its damage shows by; older files have the first line alone. */
const PLAIN_FORM = /^([0-9a-f]{64})(?:\r?\n(.*))?$/is
const PUBLIC_LINE = /^public ([0-9a-f]{66})$/i

/**
 * A key file in clear. The public key beside the secret costs nothing, since who reads the file has
 * both: without it a secret with one digit changed is silently another key.
 */
export function plainKeyText(secret: Uint8Array, kind: NodeKeyKind): string {
  return `${bytesToHex(secret)}\npublic ${bytesToHex(publicKeyOfKind(secret, kind))}\n`
}

/**
 * The 32-byte secret of a key file in clear. Throws KEY_FILE_DAMAGED where it was cut or changed,
 * KEY_FILE_KIND where its public key is one on the other curve. `kind` undefined takes every kind.
 */
export function parsePlainKey(
  text: string,
  path: string,
  kind: NodeKeyKind | undefined,
): Uint8Array {
  const [, digits, rest = ''] = PLAIN_FORM.exec(text.trim()) ?? []
  if (digits === undefined) {
    throw damaged(path, 'is not a key file: expected 64 hex digits or a sealed key')
  }
  const secret = parseHex(digits.toLowerCase(), SECRET_BYTES)
  if (!secret.ok || secret.value.every((byte) => byte === 0)) {
    throw damaged(path, 'is not a key file: its digits are no key')
  }
  if (rest === '') return secret.value
  const written = PUBLIC_LINE.exec(rest)?.[1]?.toLowerCase()
  if (written === undefined) throw damaged(path, 'is damaged: its second line names no public key')
  const kinds = (['node', 'main-chain'] as const).filter(
    (each) => publicTextOf(secret.value, each) === written,
  )
  if (kinds.length === 0) {
    throw damaged(path, `is damaged: its secret is not that of the public key ${written} in it`)
  }
  if (kind !== undefined && publicTextOf(secret.value, kind) !== written) {
    throw new KeyFileError('KEY_FILE_KIND', `${path} holds another kind of key than a ${kind} key`)
  }
  return secret.value
}

export function publicKeyOfKind(secret: Uint8Array, kind: NodeKeyKind): Uint8Array {
  return kind === 'main-chain' ? p256PublicKey(secret) : publicKeyOf(secret)
}

/** Undefined for a number that is no secret of the curve. */
function publicTextOf(secret: Uint8Array, kind: NodeKeyKind): string | undefined {
  try {
    return bytesToHex(publicKeyOfKind(secret, kind))
  } catch {
    return undefined
  }
}

function damaged(path: string, what: string): KeyFileError {
  return new KeyFileError('KEY_FILE_DAMAGED', `${path} ${what}; restore it from a backup`)
}
