import {
  addressOf,
  bytesEqual,
  bytesToHex,
  decodeCanonical,
  fault,
  formatAddress,
  ok,
  parseHex,
  publicKeyOf,
  type Result,
  sign,
  signingDigest,
  utf8ToBytes,
  verifySignature,
} from '@ioex/chain/bytes'
import {
  formatElaAddress,
  p256PublicKey,
  signP256,
  standardProgramHash,
  verifyP256,
} from '@ioex/chain/elastos'
import {
  type GenesisEntry,
  GenesisEntryType,
  NodeRole,
  UNITS_PER_IOEX,
  ZERO_HASH,
  ZERO_KEY,
} from '@ioex/chain/types'
import { z } from 'zod'
import { type PresetName, presets } from '../presets/presets.ts'

const ENTRY_VERSION = 1
const ENTRY_BYTES_MAX = 512
/** Characters of an entry file; more is never read. */
export const ENTRY_TEXT_MAX = 16_384

export interface SignedGenesisEntry {
  readonly entry: GenesisEntry
  readonly signatures: EntrySignatures
}

/** Each over the entry's digest: the proof that whoever wrote the entry holds the key. */
export interface EntrySignatures {
  readonly owner: Uint8Array
  readonly node: Uint8Array
  readonly consensus?: Uint8Array
  /** P-256. */
  readonly mainChain?: Uint8Array
}

export interface EntrySecrets {
  readonly owner: Uint8Array
  readonly node: Uint8Array
  readonly consensus?: Uint8Array
  readonly mainChain?: Uint8Array
}

export interface EntryTerms {
  readonly network: PresetName
  readonly bond: bigint
  /** Where pay goes; default the owner's own address. */
  readonly payout?: Uint8Array
}

/** An entry with a proof of possession by every key in it. A validator's has all four keys. */
export function signGenesisEntry(secrets: EntrySecrets, terms: EntryTerms): SignedGenesisEntry {
  const { consensus, mainChain } = secrets
  const owner = publicKeyOf(secrets.owner)
  const entry: GenesisEntry = {
    version: ENTRY_VERSION,
    network: utf8ToBytes(terms.network),
    role: consensus ? NodeRole.validator : NodeRole.bootstrap,
    owner,
    payout: terms.payout ?? addressOf(owner),
    nodeKey: publicKeyOf(secrets.node),
    consensusKey: consensus ? publicKeyOf(consensus) : ZERO_KEY,
    mainKey: mainChain ? p256PublicKey(mainChain) : ZERO_KEY,
    bond: terms.bond,
  }
  const digest = entryDigest(entry)
  const signatures = {
    owner: sign(digest, secrets.owner),
    node: sign(digest, secrets.node),
    ...(consensus && { consensus: sign(digest, consensus) }),
    ...(mainChain && { mainChain: signP256(digest, mainChain) }),
  }
  return { entry, signatures }
}

/** There is no chain yet: the chain id of PROTOCOL 1.2 is zero, the network's name is inside. */
function entryDigest(entry: GenesisEntry): Uint8Array {
  return signingDigest('genesis-entry', ZERO_HASH, GenesisEntryType.hashTreeRoot(entry))
}

/**
 * Checks an entry by itself: form, role, keys that differ, every signature. Faults with
 * ENTRY_VERSION, ENTRY_NETWORK, ENTRY_ROLE, ENTRY_BOND, ENTRY_KEYS or ENTRY_SIGNATURE.
 */
export function checkGenesisEntry(
  { entry, signatures }: SignedGenesisEntry,
  network: PresetName,
): Result<undefined> {
  const { role, bond } = entry
  if (entry.version !== ENTRY_VERSION) {
    return fault('ENTRY_VERSION', `this program knows entries of version ${ENTRY_VERSION}`)
  }
  if (!bytesEqual(entry.network, utf8ToBytes(network))) {
    return fault('ENTRY_NETWORK', `the entry is not for the network ${network}`)
  }
  const validates = role === NodeRole.validator
  if (!validates && role !== NodeRole.bootstrap) {
    return fault('ENTRY_ROLE', 'an entry is a validator or a bootstrap node', { role })
  }
  if (validates !== bond >= UNITS_PER_IOEX) {
    return fault('ENTRY_BOND', 'a validator bonds at least 1 IOEX, a bootstrap node nothing')
  }
  const hasKey = (key: Uint8Array) => !bytesEqual(key, ZERO_KEY)
  if (hasKey(entry.consensusKey) !== validates || hasKey(entry.mainKey) !== validates) {
    return fault('ENTRY_KEYS', 'a validator has a consensus key and an ELA key, others have none')
  }
  const keys = [entry.owner, entry.nodeKey, ...(validates ? [entry.consensusKey] : [])]
  if (new Set(keys.map(bytesToHex)).size !== keys.length) {
    return fault('ENTRY_KEYS', 'owner, node and consensus key are three different keys')
  }
  return checkSignatures(entry, signatures)
}

function checkSignatures(entry: GenesisEntry, signatures: EntrySignatures): Result<undefined> {
  const digest = entryDigest(entry)
  const validates = entry.role === NodeRole.validator
  const { owner, node, consensus, mainChain } = signatures
  const wrong = [
    !verifySignature(owner, digest, entry.owner) && 'owner',
    !verifySignature(node, digest, entry.nodeKey) && 'node',
    validates !== (consensus !== undefined) && 'consensus',
    validates !== (mainChain !== undefined) && 'main-chain',
    consensus && !verifySignature(consensus, digest, entry.consensusKey) && 'consensus',
    mainChain && !verifyP256(mainChain, digest, entry.mainKey) && 'main-chain',
  ].find((name) => typeof name === 'string')
  return wrong === undefined
    ? ok()
    : fault('ENTRY_SIGNATURE', `the ${wrong} key did not sign this entry`, { key: wrong })
}

const signatureHex = z.string().regex(/^[0-9a-f]{128}$/)

/** The names stand in the file for people; they must say what `entry` says. */
const EntryFileSchema = z.strictObject({
  format: z.literal('ioex-genesis-entry/1'),
  network: z.enum(Object.keys(presets) as [PresetName]),
  role: z.enum(['validator', 'bootstrap']),
  owner: z.string(),
  payout: z.string(),
  nodeKey: z.string(),
  consensusKey: z.string().optional(),
  mainChainAddress: z.string().optional(),
  bondUnits: z.string(),
  /** SSZ GenesisEntry, hex. */
  entry: z.string(),
  signatures: z.strictObject({
    owner: signatureHex,
    node: signatureHex,
    consensus: signatureHex.optional(),
    mainChain: signatureHex.optional(),
  }),
})
type EntryFile = z.infer<typeof EntryFileSchema>

/** The text of an entry file. */
export function entryFileText(signed: SignedGenesisEntry): string {
  return `${JSON.stringify(fileOf(signed), null, 2)}\n`
}

function fileOf({ entry, signatures }: SignedGenesisEntry): EntryFile {
  const network = String.fromCharCode(...entry.network) as PresetName
  const prefix = presets[network].addressPrefix
  const validates = entry.role === NodeRole.validator
  return {
    format: 'ioex-genesis-entry/1',
    network,
    role: validates ? 'validator' : 'bootstrap',
    owner: formatAddress(addressOf(entry.owner), prefix),
    payout: formatAddress(entry.payout, prefix),
    nodeKey: bytesToHex(entry.nodeKey),
    ...(validates && {
      consensusKey: bytesToHex(entry.consensusKey),
      mainChainAddress: formatElaAddress(standardProgramHash(entry.mainKey)),
    }),
    bondUnits: entry.bond.toString(),
    entry: bytesToHex(GenesisEntryType.serialize(entry)),
    signatures: {
      owner: bytesToHex(signatures.owner),
      node: bytesToHex(signatures.node),
      ...(signatures.consensus && { consensus: bytesToHex(signatures.consensus) }),
      ...(signatures.mainChain && { mainChain: bytesToHex(signatures.mainChain) }),
    },
  }
}

/**
 * Reads and checks an entry file, which comes from somebody else. Faults with ENTRY_MALFORMED,
 * with ENTRY_MISMATCH where what people read in the file is not what was signed, and with what
 * checkGenesisEntry finds.
 */
export function readEntryFile(text: string): Result<SignedGenesisEntry> {
  const parsed = text.length > ENTRY_TEXT_MAX ? undefined : EntryFileSchema.safeParse(json(text))
  if (!parsed?.success) return fault('ENTRY_MALFORMED', 'not an entry of "ioex validator init"')
  const file = parsed.data
  const bytes = parseHex(file.entry, ENTRY_BYTES_MAX)
  if (!bytes.ok) return bytes
  const entry = decodeCanonical(GenesisEntryType, bytes.value, ENTRY_BYTES_MAX)
  if (!entry.ok) return entry
  const signed: SignedGenesisEntry = {
    entry: entry.value,
    signatures: bytesOfSignatures(file.signatures),
  }
  const checked = checkGenesisEntry(signed, file.network)
  if (!checked.ok) return checked
  return same(fileOf(signed), file)
    ? ok(signed)
    : fault('ENTRY_MISMATCH', 'the readable fields are not those of the signed entry')
}

function bytesOfSignatures(texts: EntryFile['signatures']): EntrySignatures {
  const bytes = (text: string) =>
    Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16))
  return {
    owner: bytes(texts.owner),
    node: bytes(texts.node),
    ...(texts.consensus !== undefined && { consensus: bytes(texts.consensus) }),
    ...(texts.mainChain !== undefined && { mainChain: bytes(texts.mainChain) }),
  }
}

function same(a: EntryFile, b: EntryFile): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof EntryFile>
  return [...names].every((name) =>
    name === 'signatures' ? true : a[name as 'entry'] === b[name as 'entry'],
  )
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
