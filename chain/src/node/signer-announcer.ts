import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { sign } from '../bytes/signature.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import {
  PRESENCES_BYTES_MAX,
  PresencesType,
  type SignedPresence,
  SignedPresenceType,
  type SignerPresence,
} from '../types/signer-presence.ts'
import { isPresenceSigned, presenceDigest } from './signer-board.ts'

export interface SignerAnnouncerOptions {
  readonly chainId: Uint8Array
  readonly consensusKey: ConsensusKey
  /** 32 random bytes of this process. */
  readonly instance: Uint8Array
  readonly nowMs: () => number
  readonly peers: () => readonly string[]
  /** Tells a peer's board; resolves to what it knows of the key. Rejects as networks do. */
  readonly tell: (peer: string, presence: Uint8Array) => Promise<Uint8Array>
  /** Another process signs with the key, and it is this one that has to stop. */
  readonly onTwin: (startedMs: number) => void
  /** The other one has to. */
  readonly onYounger: (startedMs: number) => void
}

/**
 * Tells all peers now and then that this process signs with its key or is about to, and hears who
 * else does. Of two, the one that started later stops: both know which of them that is.
 */
export class SignerAnnouncer {
  readonly #options: SignerAnnouncerOptions
  readonly #self: Omit<SignerPresence, 'publicKey' | 'timeMs'>
  #timer: NodeJS.Timeout | undefined

  constructor(options: SignerAnnouncerOptions) {
    this.#options = options
    const { instance, nowMs } = options
    this.#self = { instance, startedMs: nowMs() }
  }

  start(everyMs: number): void {
    this.#timer = setInterval(() => void this.round(), everyMs)
    void this.round()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Asks every peer once; resolves to how many answered. */
  async round(): Promise<number> {
    const { chainId, consensusKey, nowMs, peers, tell } = this.#options
    const { publicKey, secretKey } = consensusKey
    const presence = { ...this.#self, publicKey, timeMs: nowMs() }
    const signature = sign(presenceDigest(chainId, { presence }), secretKey)
    const bytes = SignedPresenceType.serialize({ presence, signature })
    const answers = await Promise.all(
      peers().map(async (peer) => {
        const answer = await tell(peer, bytes).catch(() => undefined)
        const decoded = answer && decodeCanonical(PresencesType, answer, PRESENCES_BYTES_MAX)
        if (!decoded?.ok) return 0
        for (const other of decoded.value) this.#judge(other)
        return 1
      }),
    )
    return answers.filter((answered) => answered === 1).length
  }

  #judge(other: SignedPresence): void {
    const { chainId, consensusKey, onTwin, onYounger } = this.#options
    const { publicKey, instance, startedMs, timeMs } = other.presence
    const { startedMs: ownMs } = this.#self
    if (!bytesEqual(publicKey, consensusKey.publicKey)) return
    // What it said before we started, the process that we follow may have said.
    if (bytesEqual(instance, this.#self.instance) || timeMs <= ownMs) return
    if (!isPresenceSigned(chainId, other)) return
    if (this.#isOlder(startedMs, instance)) onTwin(startedMs)
    else onYounger(startedMs)
  }

  #isOlder(startedMs: number, instance: Uint8Array): boolean {
    const { startedMs: ownMs, instance: own } = this.#self
    if (startedMs !== ownMs) return startedMs < ownMs
    return bytesToHex(instance) < bytesToHex(own)
  }
}
