import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { bytesEqual } from '../bytes/hex.ts'
import { signersOf, votesOf } from '../consensus/certificate.ts'
import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { BlockSync } from '../sync/block-sync.ts'
import {
  type Certificate,
  CertificateType,
  JustificationType,
  type Vote,
} from '../types/consensus-objects.ts'
import { SignerAnnouncer } from './signer-announcer.ts'

/** Newest final blocks whose certificates tell what our key signed. */
const BLOCKS_SEARCHED = 64
/** How long most of the peers are waited for; then those that answer must do. */
const LOOK_AROUND_MS = 15_000
const LOOK_AGAIN_MS = 100
/** Rounds in the time for which a starting process listens. */
const ROUNDS_PER_WATCH = 4

export interface SignerWatchOptions {
  readonly manager: Pick<ChainManager, 'chainId' | 'final' | 'store' | 'validators'>
  readonly network: Pick<FullNodeNetwork, 'peers' | 'tellSigner'>
  readonly consensusKey: ConsensusKey
  /** How long a process listens before it signs, ms. */
  readonly watchMs: number
  readonly onTwin: () => void
  readonly logger: Logger
}

/**
 * What a validator finds out before it signs and while it does: whether another process has its
 * key, and whether the key signed what this folder does not know (consensus 1.7).
 */
export class SignerWatch {
  readonly #options: SignerWatchOptions
  readonly #announcer: SignerAnnouncer
  #isStopped = false

  constructor(options: SignerWatchOptions) {
    this.#options = options
    const { manager, network, consensusKey, logger, onTwin } = options
    this.#announcer = new SignerAnnouncer({
      chainId: manager.chainId,
      consensusKey,
      instance: new Uint8Array(randomBytes(32)),
      nowMs: Date.now,
      peers: () => network.peers(),
      tell: (peer, presence) => network.tellSigner(peer, presence),
      onTwin: (startedMs) => {
        if (this.#isStopped) return
        const since = new Date(startedMs).toISOString()
        logger.fatal({ since }, 'another process has our key and was there first')
        onTwin()
      },
      onYounger: (startedMs) => {
        const since = new Date(startedMs).toISOString()
        logger.error({ since }, 'ALARM: another process was started with our key')
      },
    })
  }

  start(): void {
    const { watchMs } = this.#options
    if (watchMs > 0) this.#announcer.start(watchMs / ROUNDS_PER_WATCH)
  }

  stop(): void {
    this.#isStopped = true
    this.#announcer.stop()
  }

  /**
   * Waits until this node is where its peers are: an older place is no place to sign at, and of
   * what is said elsewhere nothing is understood there. Gives what the key signed of late.
   */
  async lookAround(
    sync: () => BlockSync | undefined,
    peersExpected: number,
    isHeld: () => boolean,
  ): Promise<Vote[]> {
    const patience = Date.now() + LOOK_AROUND_MS
    while (peersExpected > 0 && !this.#isStopped) {
      const running = sync()
      const level = running?.levelWith ?? 0
      const isEnough = 2 * level > peersExpected || (level > 0 && Date.now() > patience)
      if (isEnough && !isHeld()) break
      // Not waited for: the peers that answer count while another hangs.
      running?.catchUp().catch(() => false)
      await setTimeout(LOOK_AGAIN_MS, undefined, { ref: false })
    }
    return this.#isStopped ? [] : votesOnChain(this.#options)
  }
}

/** Votes of our key, their signatures checked, in the certificates of the newest final blocks. */
export async function votesOnChain({
  manager,
  consensusKey,
}: Pick<SignerWatchOptions, 'manager' | 'consensusKey'>): Promise<Vote[]> {
  const { publicKey } = consensusKey
  const { verify } = createConsensusCrypto(manager.chainId, undefined)
  const { height: tip } = manager.final.header
  const votes: Vote[] = []
  for (let height = tip; height > Math.max(0, tip - BLOCKS_SEARCHED); height--) {
    const stored = await manager.store.block(height)
    if (!stored) break
    const { parent, skips } = JustificationType.deserialize(stored.justification)
    const own = stored.certificate ? [CertificateType.deserialize(stored.certificate)] : []
    const whole = [...own, ...parent, ...skips].filter(isOfItsSigners)
    for (const vote of whole.flatMap(votesOf)) {
      const { statement, validator, signature } = vote
      const member = manager.validators(statement.epoch)?.[validator]
      if (!member || !bytesEqual(member.publicKey, publicKey)) continue
      // A database that was written by somebody else must not silence us with votes we never cast.
      if (verify(statement, publicKey, signature)) votes.push(vote)
    }
  }
  return votes
}

const isOfItsSigners = (certificate: Certificate): boolean =>
  signersOf(certificate).length === certificate.signatures.length
