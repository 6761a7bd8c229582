import { createSecretKey, type KeyObject } from 'node:crypto'
import { assert, type Result } from '@ioex/chain/bytes'
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  MANIFEST_BYTES_MAX,
} from '../manifest/manifest.ts'
import {
  ENVELOPE_BYTES,
  labelKey,
  maskKey,
  packKeySalt,
  packKeys,
  slotMaskKey,
} from '../manifest/pack-keys.ts'
import { decodeLabel, encodeLabel, type PackLabel } from '../manifest/pack-label.ts'
import { openEnvelope, sealEnvelope } from './envelope.ts'

/** Bytes of a label that a contract may carry. */
const LABEL_BYTES_MAX = 512

/**
 * What encodes and decodes the stripes of one pack in one contract. Keys are KeyObjects: Node sets
 * up a cipher from one ten times as fast as from bytes, and none prints itself into a log.
 */
export interface PackSecrets {
  readonly contractSalt: Uint8Array
  /** AES-256-GCM key of the cells. */
  readonly cellKey: KeyObject
  /** AES-256-CTR key of each slot's mask, n of them. */
  readonly slotKeys: readonly KeyObject[]
}

/** A pack ready to be encoded. */
export interface SealedPack {
  readonly secrets: PackSecrets
  /** What the pack starts with. */
  readonly sealedManifest: Uint8Array
  /** Goes into the label. */
  readonly keySalt: Uint8Array
}

/** Seals a manifest and derives the keys of its pack, for a contract of n slots. */
export function sealPack(
  master: Uint8Array,
  contractSalt: Uint8Array,
  n: number,
  manifest: Manifest,
): SealedPack {
  const encoded = encodeManifest(manifest)
  assert(encoded.length + ENVELOPE_BYTES <= MANIFEST_BYTES_MAX, 'planning bounds the manifest')
  const keySalt = packKeySalt(master, encoded)
  const { manifestKey } = packKeys(master, contractSalt, keySalt)
  const sealedManifest = sealEnvelope(manifestKey, contractSalt, encoded)
  return { secrets: packSecrets(master, contractSalt, { n, keySalt }), sealedManifest, keySalt }
}

/** The keys that a label leads to. */
export function packSecrets(
  master: Uint8Array,
  contractSalt: Uint8Array,
  label: Pick<PackLabel, 'n' | 'keySalt'>,
): PackSecrets {
  const { cellKey } = packKeys(master, contractSalt, label.keySalt)
  const mask = maskKey(master, contractSalt)
  const slotKeys = Array.from({ length: label.n }, (_, slot) =>
    createSecretKey(slotMaskKey(mask, contractSalt, slot)),
  )
  return { contractSalt, cellKey: createSecretKey(cellKey), slotKeys }
}

/** Opens the manifest at the start of a pack. Throws SealBrokenError; faults of decodeManifest. */
export function openManifest(
  master: Uint8Array,
  contractSalt: Uint8Array,
  label: Pick<PackLabel, 'keySalt' | 'packBytes'>,
  sealed: Uint8Array,
): Result<Manifest> {
  const { manifestKey } = packKeys(master, contractSalt, label.keySalt)
  const encoded = openEnvelope('manifest', manifestKey, contractSalt, sealed)
  return decodeManifest(encoded, sealed.length, label.packBytes)
}

/** The sealed label, 100 bytes, for openContract. */
export function sealLabel(
  master: Uint8Array,
  contractSalt: Uint8Array,
  label: PackLabel,
): Uint8Array {
  const sealed = sealEnvelope(labelKey(master, contractSalt), contractSalt, encodeLabel(label))
  assert(sealed.length <= LABEL_BYTES_MAX, 'a sealed label fits the contract')
  return sealed
}

/** Opens a label found on the chain. Throws SealBrokenError; faults of decodeLabel. */
export function openLabel(
  master: Uint8Array,
  contractSalt: Uint8Array,
  sealed: Uint8Array,
): Result<PackLabel> {
  return decodeLabel(openEnvelope('label', labelKey(master, contractSalt), contractSalt, sealed))
}
