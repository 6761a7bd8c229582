import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, type Hex, parseHex, utf8ToBytes } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { type Certificate, CertificateType, VALIDATORS_MAX } from '../types/consensus-objects.ts'
import { replaceFile } from './replace-file.ts'

/** Lies in a node's consensus directory once it has seen a fork; no start while it does. */
export const FORK_FILE = 'fork-proof.json'
/** What the operator calls that file when the fork is decided. */
export const SETTLED_FILE = 'fork-settled.json'
const FILE_BYTES_MAX = 256 * 1024

/** Two finality certificates that contradict each other (consensus 1.8). */
export interface ForkRecord {
  readonly version: 1
  /** Hex. */
  readonly chainId: Hex
  readonly epoch: number
  readonly reason: string
  /** What this node held final, and what contradicts it. */
  readonly ours: Certificate
  readonly theirs: Certificate
  /** Consensus keys shown to have signed both sides, hex. */
  readonly guilty: readonly Hex[]
}

/** The node has seen a fork that its operator has not decided; the message says what to do. */
export class ForkProofError extends Error {
  override name = 'ForkProofError'
  readonly code = 'FORK_PROOF'
}

/** Durable when it resolves, and whole or not there at all after a crash. */
export function writeForkRecord(directory: string, record: ForkRecord): Promise<void> {
  const { ours, theirs } = record
  const file = { ...record, ours: certificateHex(ours), theirs: certificateHex(theirs) }
  const text = JSON.stringify({ ...file, checksum: checksumOf(file) }, undefined, 2)
  return replaceFile(join(directory, FORK_FILE), `${text}\n`)
}

/** Throws ForkProofError where a fork waits for the operator's decision. */
export async function refuseForked(directory: string): Promise<void> {
  const path = join(directory, FORK_FILE)
  const found = await readForkRecord(path)
  if (found === undefined) return
  const facts = found === 'damaged' ? `${path} is damaged` : forkText(found)
  throw new ForkProofError(`${facts}. ${whatToDo(directory)}`)
}

/** The fork that the operator has decided last. Throws ForkProofError if that file is damaged. */
export async function settledFork(directory: string): Promise<ForkRecord | undefined> {
  const path = join(directory, SETTLED_FILE)
  const found = await readForkRecord(path)
  if (found !== 'damaged') return found
  throw new ForkProofError(
    `${path} is damaged: put it back as it was, or move it away if no fork is under dispute`,
  )
}

/** Names both sides and the guilty, for people. */
export function forkText({ reason, epoch, ours, theirs, guilty }: ForkRecord): string {
  const side = ({ statement: { view, hash } }: Certificate) => `${bytesToHex(hash)} in view ${view}`
  const who = guilty.length > 0 ? guilty.join(', ') : 'nobody is shown by what this node holds'
  return (
    `${reason}: epoch ${epoch}, ours ${side(ours)}, the other ${side(theirs)}. ` +
    `Consensus keys that signed both sides: ${who}`
  )
}

/** The operator's part, in one line: it is printed where the node stops and where it refuses. */
export function whatToDo(directory: string): string {
  return (
    'This node signs nothing until its operator has agreed with the others on one chain. Then: ' +
    `rename ${join(directory, FORK_FILE)} to ${SETTLED_FILE} (same folder) and start again. Where ` +
    `this node's chain is the one given up, move chain/ and ${join(directory, 'wal')} away, too. ` +
    'See docs/operate/run-a-validator.md, "A fork"'
  )
}

async function readForkRecord(path: string): Promise<ForkRecord | 'damaged' | undefined> {
  try {
    return parseForkRecord(await readFile(path, 'utf8')) ?? 'damaged'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

type FileContent = Omit<ForkRecord, 'ours' | 'theirs'> & Record<'ours' | 'theirs', Hex>

/** Undefined where the text is no whole record. */
export function parseForkRecord(text: string): ForkRecord | undefined {
  if (text.length > FILE_BYTES_MAX) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { checksum, ...file } = value as Partial<FileContent> & { checksum?: unknown }
  const { version, chainId, epoch, reason, guilty } = file
  if (version !== 1 || typeof chainId !== 'string' || typeof reason !== 'string') return undefined
  if (!Number.isSafeInteger(epoch) || !Array.isArray(guilty)) return undefined
  if (guilty.length > VALIDATORS_MAX || checksum !== checksumOf(file as FileContent)) {
    return undefined
  }
  const [ours, theirs] = [certificateFrom(file.ours), certificateFrom(file.theirs)]
  return ours && theirs && ({ ...file, ours, theirs } as ForkRecord)
}

function checksumOf(file: FileContent): string {
  const { version, chainId, epoch, reason, ours, theirs, guilty } = file
  const content = JSON.stringify([version, chainId, epoch, reason, ours, theirs, guilty])
  return bytesToHex(sha256(utf8ToBytes(content)))
}

function certificateHex(certificate: Certificate): Hex {
  return bytesToHex(CertificateType.serialize(certificate))
}

function certificateFrom(hex: unknown): Certificate | undefined {
  const { maxSize } = CertificateType
  const bytes = parseHex(typeof hex === 'string' ? hex : '', maxSize)
  const decoded = bytes.ok ? decodeCanonical(CertificateType, bytes.value, maxSize) : bytes
  return decoded.ok ? decoded.value : undefined
}
