import { readFile } from 'node:fs/promises'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import { replaceFile } from './replace-file.ts'

/** A place in the order of everything a validator may sign. */
export interface SignedUpTo {
  readonly epoch: number
  readonly view: number
}

/** The lease is moved this far ahead at a time, so that it costs one file replace per 64 views. */
const VIEWS_AHEAD = 64
const LEASE_FILE_BYTES_MAX = 4096

/** Name of the lease in a validator's consensus directory. */
export const LEASE_FILE = 'signer-lease.json'

export interface LeaseFile {
  readonly version: 1
  readonly chainId: string
  readonly publicKey: string
  /** Nothing above this was ever signed. */
  readonly lease: SignedUpTo
  /** Nothing at or below this may be signed any more: what the log no longer proves. */
  readonly floor: SignedUpTo
}

/** The record of what this key signed is lost or of another key; only an operator can go on. */
export class SignerHistoryError extends Error {
  override name = 'SignerHistoryError'
}

/**
 * Second line against double signing, independent of the log: a file that says up to where votes
 * may have been signed. It is durable before a vote beyond it is signed.
 */
export class SignerLease {
  readonly #path: string
  #file: LeaseFile

  private constructor(path: string, file: LeaseFile) {
    this.#path = path
    this.#file = file
  }

  /** Undefined if there is none. Throws SignerHistoryError if it is damaged or of another key. */
  static async read(
    path: string,
    chainId: Uint8Array,
    publicKey: Uint8Array,
  ): Promise<SignerLease | undefined> {
    const file = await readLeaseFile(path)
    if (!file) return undefined
    if (file.chainId !== bytesToHex(chainId) || file.publicKey !== bytesToHex(publicKey)) {
      throw new SignerHistoryError(`${path} belongs to another chain or validator key`)
    }
    return new SignerLease(path, file)
  }

  /** For a key that has never signed. */
  static async create(
    path: string,
    chainId: Uint8Array,
    publicKey: Uint8Array,
  ): Promise<SignerLease> {
    const nothing = { epoch: 0, view: 0 }
    const lease = new SignerLease(path, {
      version: 1,
      chainId: bytesToHex(chainId),
      publicKey: bytesToHex(publicKey),
      lease: nothing,
      floor: nothing,
    })
    await lease.#replace({})
    return lease
  }

  /** Views of `epoch` up to this one may not be signed. */
  signAbove(epoch: number): number {
    const { floor } = this.#file
    if (floor.epoch < epoch) return 0
    return floor.epoch === epoch ? floor.view : Number.MAX_SAFE_INTEGER
  }

  get leased(): SignedUpTo {
    return this.#file.lease
  }

  /** Makes it durable that votes up to this view may be signed. */
  async cover(epoch: number, view: number): Promise<void> {
    const { lease } = this.#file
    if (lease.epoch > epoch || (lease.epoch === epoch && lease.view >= view)) return
    await this.#replace({ lease: { epoch, view: view + VIEWS_AHEAD } })
  }

  /** The log is gone: whatever the lease allowed may have been signed. */
  async forbidLeased(): Promise<void> {
    await this.#raiseFloor(this.#file.lease)
  }

  /** The log is damaged: no vote until the epoch after the last one that was leased. */
  async forbidEpoch(current: number): Promise<void> {
    const epoch = Math.max(current, this.#file.lease.epoch)
    await this.#raiseFloor({ epoch, view: Number.MAX_SAFE_INTEGER })
  }

  /** Another key of the same validator signs from now on, never again the former one. */
  async passTo(publicKey: Uint8Array): Promise<void> {
    await this.#replace({ publicKey: bytesToHex(publicKey) })
  }

  async #raiseFloor(to: SignedUpTo): Promise<void> {
    const { floor } = this.#file
    if (floor.epoch > to.epoch || (floor.epoch === to.epoch && floor.view >= to.view)) return
    await this.#replace({ floor: to })
  }

  async #replace(change: Partial<LeaseFile>): Promise<void> {
    const file = { ...this.#file, ...change }
    await writeLeaseFile(this.#path, file)
    this.#file = file
  }
}

/** Undefined if there is none. Throws SignerHistoryError if it is damaged. */
export async function readLeaseFile(path: string): Promise<LeaseFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const file = parseLease(text)
  if (!file) throw new SignerHistoryError(`${path} is damaged: restore it from a backup`)
  return file
}

export function writeLeaseFile(path: string, file: LeaseFile): Promise<void> {
  return replaceFile(path, leaseText(file))
}

/** As it is kept and handed over: a digit that changes on the way would allow a second vote. */
export function leaseText(file: LeaseFile): string {
  return `${JSON.stringify({ ...file, checksum: checksumOf(file) }, undefined, 2)}\n`
}

function checksumOf({ version, chainId, publicKey, lease, floor }: LeaseFile): string {
  const places = [lease.epoch, lease.view, floor.epoch, floor.view]
  return bytesToHex(sha256(utf8ToBytes([version, chainId, publicKey, ...places].join(' '))))
}

export function laterPlace(a: SignedUpTo, b: SignedUpTo): SignedUpTo {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.view >= b.view) ? a : b
}

/** Untrusted text; undefined where it is no lease. */
export function parseLease(text: string): LeaseFile | undefined {
  if (text.length > LEASE_FILE_BYTES_MAX) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { checksum, ...file } = value as Partial<LeaseFile> & { checksum?: unknown }
  if (file.version !== 1 || !isPlace(file.lease) || !isPlace(file.floor)) return undefined
  if (typeof file.chainId !== 'string' || typeof file.publicKey !== 'string') return undefined
  return checksum === checksumOf(file as LeaseFile) ? (file as LeaseFile) : undefined
}

function isPlace(value: unknown): value is SignedUpTo {
  if (typeof value !== 'object' || value === null) return false
  const { epoch, view } = value as Partial<SignedUpTo>
  return Number.isSafeInteger(epoch) && Number.isSafeInteger(view)
}
