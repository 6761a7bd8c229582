import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { signingDigest, verifySignature } from '../bytes/signature.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import {
  PRESENCE_BYTES_MAX,
  PRESENCES_MAX,
  PresencesType,
  type SignedPresence,
  SignedPresenceType,
  SignerPresenceType,
} from '../types/signer-presence.ts'

/** How long a process that says nothing more is told of. */
const KEPT_MS = 60_000
/** Keys of two sets at most: who is no validator is not noted. */
const KEYS_MAX = 256

export interface SignerBoardOptions {
  readonly chainId: Uint8Array
  /** Whether a consensus key is in a set that can sign now. */
  readonly isValidator: (publicKey: Uint8Array) => boolean
  readonly nowMs: () => number
}

interface Note {
  readonly signed: SignedPresence
  readonly heardMs: number
}

/**
 * What every full node keeps of what signers say of themselves, so that two processes with one key
 * learn of each other: copies of a folder share a node key too and never connect to each other.
 */
export class SignerBoard {
  readonly #options: SignerBoardOptions
  /** By key, then by instance; a key's owner can push out only its own. */
  readonly #notes = new Map<Hex, Map<Hex, Note>>()

  constructor(options: SignerBoardOptions) {
    this.#options = options
  }

  /** Notes an untrusted presence; answers the other ones of its key (PresencesType). */
  tell(bytes: Uint8Array): Uint8Array {
    const decoded = decodeCanonical(SignedPresenceType, bytes, PRESENCE_BYTES_MAX)
    if (!decoded.ok) return NOBODY
    const { presence } = decoded.value
    const { chainId, isValidator, nowMs } = this.#options
    if (!isValidator(presence.publicKey) || !isPresenceSigned(chainId, decoded.value)) return NOBODY
    const instance = bytesToHex(presence.instance)
    const notes = this.#notesOf(bytesToHex(presence.publicKey))
    for (const [key, { heardMs }] of notes) if (nowMs() - heardMs > KEPT_MS) notes.delete(key)
    // Sent again by somebody it is no sign of life.
    const known = notes.get(instance)?.signed.presence.timeMs ?? 0
    if (presence.timeMs > known) {
      notes.delete(instance)
      notes.set(instance, { signed: decoded.value, heardMs: nowMs() })
    }
    if (notes.size > PRESENCES_MAX) notes.delete([...notes.keys()][0] as Hex)
    const others = [...notes].filter(([key]) => key !== instance).map(([, { signed }]) => signed)
    return PresencesType.serialize(others)
  }

  /** Keys noted, and processes of the one that has most. */
  sizes() {
    const counts = [...this.#notes.values()].map((notes) => notes.size)
    return { keys: this.#notes.size, processesOfKey: Math.max(0, ...counts) }
  }

  #notesOf(publicKey: Hex): Map<Hex, Note> {
    const notes = this.#notes.get(publicKey) ?? new Map<Hex, Note>()
    this.#notes.delete(publicKey)
    this.#notes.set(publicKey, notes)
    if (this.#notes.size > KEYS_MAX) this.#notes.delete([...this.#notes.keys()][0] as Hex)
    return notes
  }
}

const NOBODY = PresencesType.serialize([])

export function presenceDigest(
  chainId: Uint8Array,
  { presence }: Pick<SignedPresence, 'presence'>,
) {
  return signingDigest('presence', chainId, SignerPresenceType.hashTreeRoot(presence))
}

export function isPresenceSigned(chainId: Uint8Array, signed: SignedPresence): boolean {
  const digest = presenceDigest(chainId, signed)
  return verifySignature(signed.signature, digest, signed.presence.publicKey)
}

/** Copies of one validator need a third node to learn of each other: every full node is one. */
export function serveSigners(manager: ChainManager, network: FullNodeNetwork): Promise<void> {
  const board = new SignerBoard({
    chainId: manager.chainId,
    isValidator: (publicKey) => isInSets(manager, publicKey),
    nowMs: () => performance.now(),
  })
  return network.serveSigners((presence) => Promise.resolve(board.tell(presence)))
}

/** Whether a consensus key is in the running epoch's set or in the next one's. */
function isInSets(manager: ChainManager, publicKey: Uint8Array): boolean {
  const { epoch } = manager.final.header
  return [epoch, epoch + 1].some((each) =>
    manager.validators(each)?.some((member) => bytesEqual(member.publicKey, publicKey)),
  )
}
