import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { type ChainLink, type ContradictingVotes, forkPairs } from '../consensus/fork-proof.ts'
import type { VoteVerifier } from '../consensus/machine-interface.ts'
import type { FoundFork } from '../driver/fork-watch.ts'
import { checkCertificate } from '../light/finality.ts'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import type { ChainStore } from '../manager/chain-store.ts'
import type { GossipVerdict } from '../net/transaction-relay.ts'
import { epochOfHeight, isCheckpointHeight } from '../params/network-params.ts'
import { TokenBucket } from '../pool/token-bucket.ts'
import { EXIT_EPOCHS, isReleased } from '../rules/release-stake.ts'
import type { FinalHeader } from '../sync/sync-messages.ts'
import { BlockType, blockHash } from '../types/block.ts'
import {
  type Certificate,
  CertificateType,
  JustificationType,
  VoteKind,
} from '../types/consensus-objects.ts'
import { EpochProofType } from '../types/epoch-proof.ts'

export interface RivalHeadersOptions {
  readonly manager: Pick<ChainManager, 'params' | 'final' | 'validators' | 'onFinal' | 'ledger'> & {
    readonly store: Pick<ChainStore, 'block' | 'hashAt' | 'epochProof'>
  }
  readonly crypto: VoteVerifier
  /** Up to and with this epoch the operator has decided about forks. */
  readonly settledEpoch: () => number
  /** Another block than ours is certified final at its height. */
  readonly onFork: (fork: FoundFork, pairs: readonly ContradictingVotes[]) => void
  readonly nowMs: () => number
}

type RecentBlock = Pick<FinalizedBlock, 'hash' | 'header' | 'justification' | 'certificate'>

/** Newest final blocks whose rivals are judged at once; of older ones the store is asked. */
export const RECENT_BLOCKS = 8
/** Claims that are looked at, of all peers and of one: honest ones make none. */
const CLAIMS_PER_SECOND = 16
const PEER_CLAIMS_PER_SECOND = 1
const PEER_CLAIMS_MOST = 2
const PEERS_MAX = 512
/** Certified headers above our own; no honest network is further ahead of a node that keeps up. */
const AHEAD_MAX = 64
const REASON = 'two blocks of one height have finality certificates'

/**
 * Headers that are said to be final where this node has another final block. A certificate that
 * holds is a fork (consensus 1.8), and consensus alone would not hear of it: its messages reach a
 * node only from direct peers, and it forgets the links of its chain at each start.
 */
export class RivalHeaders {
  readonly #options: RivalHeadersOptions
  readonly #recent = new Map<number, RecentBlock>()
  /** Certified headers by height; the first one of a height stays. */
  readonly #ahead = new Map<number, { readonly claim: FinalHeader; readonly hash: Hex }>()
  readonly #claims: TokenBucket
  readonly #peers = new Map<string, TokenBucket>()
  readonly #unsubscribe: () => void

  constructor(options: RivalHeadersOptions) {
    this.#options = options
    this.#claims = new TokenBucket(CLAIMS_PER_SECOND, options.nowMs())
    this.#unsubscribe = options.manager.onFinal((block) => this.#add(block))
  }

  /** Takes up what was final before, each block by the hash in its child. */
  async begin(): Promise<void> {
    const { store, final } = this.#options.manager
    let expected = final.hash
    for (let { height } = final.header; height > 0; height--) {
      if (height <= final.header.height - RECENT_BLOCKS) return
      const stored = await store.block(height)
      const header = stored && BlockType.deserialize(stored.block).header
      const hash = header && bytesToHex(blockHash(header))
      if (!header || hash !== expected) return
      if (!this.#recent.has(height)) {
        const justification = JustificationType.deserialize(stored.justification)
        const certificate = stored.certificate && CertificateType.deserialize(stored.certificate)
        this.#recent.set(height, { hash, header, justification, certificate })
      }
      expected = bytesToHex(header.parentHash)
    }
  }

  stop(): void {
    this.#unsubscribe()
  }

  /** Of one of the newest final blocks. */
  hashAt(height: number): Hex | undefined {
    return this.#recent.get(height)?.hash
  }

  /** A header at or below the newest final height whose hash is not that of hashAt. */
  judge(peer: string, claim: FinalHeader, hash: Uint8Array): GossipVerdict {
    const { manager, settledEpoch } = this.#options
    const { height, epoch } = claim.header
    if (height < 1 || epochOfHeight(manager.params, height) !== epoch) return 'reject'
    // Keys whose stake has left lose nothing by signing: they may not stop a network.
    const isOver = epoch <= settledEpoch() || isReleased(manager.ledger, epoch + EXIT_EPOCHS)
    if (isOver || !this.#isWithinBudget(peer)) return 'ignore'
    if (!this.#recent.has(height)) {
      void this.#judgeOlder(claim, hash)
      return 'ignore'
    }
    if (!this.#isCertified(claim, hash)) return 'reject'
    this.#report(claim.certificate, this.#finalityIn(epoch), this.#links(epoch))
    return 'accept'
  }

  /** A header above the newest final one whose certificate holds: ours is yet to come. */
  expect(claim: FinalHeader, hash: Uint8Array): void {
    const { height } = claim.header
    if (this.#ahead.size >= AHEAD_MAX || this.#ahead.has(height)) return
    this.#ahead.set(height, { claim, hash: bytesToHex(hash) })
  }

  #add(block: RecentBlock): void {
    const { height } = block.header
    this.#recent.set(height, block)
    for (const old of this.#recent.keys()) {
      if (old <= height - RECENT_BLOCKS) this.#recent.delete(old)
    }
    for (const [at, { claim, hash }] of this.#ahead) {
      if (at > height) continue
      this.#ahead.delete(at)
      const { epoch } = claim.header
      const isRival = at === height && hash !== block.hash && epoch > this.#options.settledEpoch()
      if (isRival) this.#report(claim.certificate, this.#finalityIn(epoch), this.#links(epoch))
    }
  }

  #isWithinBudget(peer: string): boolean {
    const nowMs = this.#options.nowMs()
    if (this.#peers.size >= PEERS_MAX && !this.#peers.has(peer)) this.#peers.clear()
    let budget = this.#peers.get(peer)
    if (!budget) {
      budget = new TokenBucket(PEER_CLAIMS_PER_SECOND, nowMs, PEER_CLAIMS_MOST)
      this.#peers.set(peer, budget)
    }
    return budget.take(nowMs) && this.#claims.take(nowMs)
  }

  #isCertified({ header, certificate }: FinalHeader, hash: Uint8Array): boolean {
    const { manager, crypto } = this.#options
    const validators = manager.validators(header.epoch)
    if (!validators) return false
    const deciders = { epochBlocks: manager.params.epochBlocks, validators, crypto }
    return checkCertificate({ header, hash }, certificate, deciders).ok
  }

  /** Certificates of our chain, of the newest blocks and of those that they stand on. */
  #finalityIn(epoch: number): readonly Certificate[] {
    const { certificate } = this.#options.manager.final
    const all = [...this.#recent.values()].flatMap((block) => [
      ...block.justification.parent,
      ...(block.certificate ? [block.certificate] : []),
    ])
    return [...all, ...(certificate ? [certificate] : [])].filter(
      ({ statement }) => statement.kind === VoteKind.finalize && statement.epoch === epoch,
    )
  }

  #links(epoch: number): ChainLink[] {
    const blocks = [...this.#recent.values()].filter(({ header }) => header.epoch === epoch)
    return blocks.map(({ hash, header, justification }) => {
      return { view: header.view, hash, justification }
    })
  }

  /** What the store holds at that height, or of the end of that epoch. */
  async #judgeOlder(claim: FinalHeader, hash: Uint8Array): Promise<void> {
    const { manager } = this.#options
    const { header, certificate } = claim
    const { height, epoch } = header
    try {
      const bytes = await manager.store.epochProof(epoch)
      const proof = bytes && EpochProofType.deserialize(bytes)
      const isEnd = isCheckpointHeight(manager.params, height)
      const ours = isEnd && proof ? blockHash(proof.header) : await manager.store.hashAt(height)
      if (!ours || bytesEqual(ours, hash) || !this.#isCertified(claim, hash)) return
      // What stops a node is not left to one place on its disk.
      const stored = await manager.store.block(height)
      const read = stored && blockHash(BlockType.deserialize(stored.block).header)
      if (read ? !bytesEqual(read, ours) : !isEnd) return
      const closing = proof ? [proof.certificate] : this.#finalityIn(epoch)
      const again = proof?.reproposals.map(({ view, justification }) => {
        return { view, hash: bytesToHex(blockHash(proof.header)), justification }
      })
      this.#report(certificate, closing, again ?? this.#links(epoch))
    } catch {
      // What cannot be read is no proof; the scrubber reports damage.
    }
  }

  #report(
    theirs: Certificate,
    candidates: readonly Certificate[],
    links: readonly ChainLink[],
  ): void {
    const { manager, crypto, onFork } = this.#options
    const { epoch, view } = theirs.statement
    const validators = manager.validators(epoch)
    const highest = candidates.toSorted((a, b) => b.statement.view - a.statement.view)[0]
    const ours = candidates.find(({ statement }) => statement.view === view) ?? highest
    if (!ours || !validators) return
    // The links are those of our chain.
    const known = view <= ours.statement.view ? links : []
    const pairs = forkPairs(ours, theirs, known, { validators, crypto })
    const guilty = pairs.flatMap(({ first }) => validators[first.validator]?.publicKey ?? [])
    onFork({ reason: REASON, ours, theirs, guilty }, pairs)
  }
}
