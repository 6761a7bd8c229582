import type { Logger } from 'pino'
import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import { type DriverClock, systemClock } from '../driver/driver-clock.ts'
import type { ChainStore } from '../manager/chain-store.ts'
import { epochOfHeight } from '../params/network-params.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import type { SyncPeers } from '../sync/sync-peers.ts'
import { findBranches, type ProvenBranch } from '../sync/epoch-branches.ts'
import {
  decodeEpochProof,
  genesisEpoch,
  type HopContext,
  type ProvenEpoch,
  verifyEpochHop,
} from '../sync/epoch-proofs.ts'
import { type AnchoredCheckpoint, chooseBranch } from '../sync/fork-choice.ts'
import {
  limitOfTrust,
  newestTrusted,
  type OperatorTrust,
  provenBranches,
} from '../sync/branch-trust.ts'
import type { Header } from '../types/consensus-objects.ts'

/** Nearer than this the validators that certify have their stake at risk: no fork is looked for. */
export const LEAD_EPOCHS = 2
/** How long a node that is behind waits for most of its peers before it compares them. */
const LOOK_AROUND_MS = 15_000
const LOOK_AGAIN_MS = 100
/** How long peers that do not answer are asked again before the others decide without them. */
export const SILENCE_MS = 30_000

/** Certified branches contradict each other; the message says what an operator must decide. */
export class ForkedNetworkError extends Error {
  override name = 'ForkedNetworkError'
}

/** Peers did not say which branch they are on, and it is too early to go on without them. */
export class SilentPeersError extends Error {
  override name = 'SilentPeersError'
}

/** Nothing but old keys may stand behind what peers prove; the message says what to compare. */
export class UnanchoredBranchError extends Error {
  override name = 'UnanchoredBranchError'
}

export interface BranchSearchOptions {
  readonly genesis: Genesis
  readonly peers: SyncPeers
  /** Anchors on the main chain that are deep enough. */
  readonly anchors: () => Promise<readonly AnchoredCheckpoint[]>
  /** What an operator vouches for; undefined: nothing, the main chain decides. */
  readonly operatorTrust?: OperatorTrust | undefined
  readonly logger: Logger
  /** Default the machine's own. */
  readonly clock?: DriverClock | undefined
}

/**
 * The certified branch to follow from a trusted epoch on (docs/protocol/sync.md 2.5);
 * undefined where no peer proves an epoch more. Throws ForkedNetworkError where certified branches
 * contradict each other and the main chain decides for none; UnanchoredBranchError where it has
 * vouched for none of them for so long that their validators may have nothing at stake;
 * SilentPeersError where a peer does not answer, unless told to go on without: while honest peers
 * are silent, only liars are heard.
 */
export async function chosenBranch(
  options: BranchSearchOptions,
  start: ProvenEpoch = genesisEpoch(options.genesis),
  goesOnWithoutSilent = true,
): Promise<ProvenBranch | undefined> {
  const { genesis, peers, logger, anchors, operatorTrust, clock = systemClock } = options
  const nowMs = clock.now()
  const silent = new Set<string>()
  const found = await findBranches({
    peers,
    start,
    context: hopContext(genesis),
    epochMax: epochsSince(genesis, genesis.block.header.timeMs, nowMs),
    onBadPeer: (peer, fault) => logger.warn({ peer, ...fault }, 'a peer gave a bad epoch proof'),
    onSilentPeer: (peer) => silent.add(peer),
  })
  if (silent.size > 0 && !goesOnWithoutSilent) {
    throw new SilentPeersError(`${silent.size} peers do not say which branch they are on yet`)
  }
  if (found.length === 0) return undefined
  const branches = throughTrusted(found, operatorTrust, start)
  const limitMs = limitOfTrust(genesis.params)
  const isStartRecent = nowMs - start.header.timeMs <= limitMs
  const isVouchedFor = operatorTrust === 'any' || isAhead(operatorTrust, start)
  const needsAnchor = !isStartRecent && !isVouchedFor
  const known = branches.length > 1 || needsAnchor ? await anchors() : []
  const choice = chooseBranch(branches, known, start.epoch)
  if (!choice.ok) {
    throw new ForkedNetworkError(
      `${choice.fault.message}. Nothing was changed; start again with peers you trust.`,
    )
  }
  for (const fork of choice.value.forks) {
    logger.error(
      fork,
      'validators of this epoch certified two histories; the anchored one is taken',
    )
  }
  const { branch } = choice.value
  if (!needsAnchor) return branch
  const latestMs = nowMs + genesis.params.clockAheadMs
  const trusted = newestTrusted(branch, known, start, latestMs)
  if (nowMs - trusted.header.timeMs > limitMs) throw tooLongUnanchored(branch, trusted, limitMs)
  return branch
}

/** Of a checkpoint that the node has passed an operator's word says nothing more. */
function isAhead(
  trust: OperatorTrust | undefined,
  start: ProvenEpoch,
): trust is Exclude<OperatorTrust, 'any'> {
  return trust !== undefined && trust !== 'any' && trust.epoch > start.epoch
}

/** Those that lead through the operator's checkpoint, if he named one that is still to come. */
function throughTrusted(
  branches: readonly ProvenBranch[],
  trust: OperatorTrust | undefined,
  start: ProvenEpoch,
): readonly ProvenBranch[] {
  if (!isAhead(trust, start)) return branches
  const through = provenBranches(branches, trust)
  if (through.length > 0) return through
  throw new UnanchoredBranchError(
    `no peer proves the trusted checkpoint ${trust.epoch}:${trust.hash}. Nothing was changed; ` +
      'start again with peers that do.',
  )
}

function tooLongUnanchored(
  { epochs }: ProvenBranch,
  trusted: ProvenEpoch,
  limitMs: number,
): UnanchoredBranchError {
  const { epoch, hash } = epochs.at(-1) as ProvenEpoch
  return new UnanchoredBranchError(
    `peers prove epochs up to ${epoch}, but none later than epoch ${trusted.epoch} is anchored and confirmed on ` +
      `the main chain, and that is more than ${Math.floor(limitMs / 60_000)} minutes ago: keys whose stake ` +
      'is long gone could have signed the rest. Nothing was changed. Wait for an anchor, or compare ' +
      `the checkpoint ${epoch}:${hash} with somebody you trust and start with ` +
      `--trusted-checkpoint ${epoch}:${hash}`,
  )
}

function hopContext({ chainId, params }: Genesis): HopContext {
  return { chainId, params, crypto: createConsensusCrypto(chainId, undefined) }
}

/** Epochs that can have passed since a block by a clock, the machine's own if none is given. */
export function epochsSince(
  { params }: Pick<Genesis, 'params'>,
  timeMs: number,
  nowMs = systemClock.now(),
): number {
  const epochMs = params.epochBlocks * params.blockIntervalMs
  return Math.max(0, Math.ceil((nowMs + params.clockAheadMs - timeMs) / epochMs))
}

export interface BranchChoiceOptions extends BranchSearchOptions {
  /** The node's own chain, which is never left. */
  readonly store: Pick<ChainStore, 'epochProof'>
  /** Full nodes that the node was told of. */
  readonly peersExpected: number
}

/**
 * Which checkpoints a node that replays blocks must pass. Whoever has the keys of validators whose
 * stake is long gone can certify another past; so a node whose head is epochs old imports nothing
 * before it has compared what its peers can prove, and then only what leads to the chosen side.
 */
export class BranchChoice {
  readonly #options: BranchChoiceOptions
  /** Proven checkpoints from the first epoch on: the node's own, then the chosen ones. */
  readonly #epochs: ProvenEpoch[] = []
  readonly #clock: DriverClock
  #stopWaiting: () => void = () => {}
  #isStopped = false
  #hasLookedAround = false
  /** When peers were compared first. */
  #sinceMs: number | undefined
  #work: Promise<unknown> = Promise.resolve()

  constructor(options: BranchChoiceOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /**
   * The checkpoint to which the block after `head` must lead; undefined where nothing is known to
   * stand above it but what validators certify now. Throws what chosenBranch does.
   */
  checkpointAfter(head: Header): Promise<ProvenEpoch | undefined> {
    const answer = this.#work.then(() => this.#checkpointAfter(head))
    this.#work = answer.catch(() => undefined)
    return answer
  }

  stop(): void {
    this.#isStopped = true
    this.#stopWaiting()
  }

  async #checkpointAfter({ height, timeMs }: Header): Promise<ProvenEpoch | undefined> {
    const { genesis } = this.#options
    const epoch = epochOfHeight(genesis.params, height + 1)
    const known = this.#epochs[epoch - 1]
    if (known || epochsSince(genesis, timeMs, this.#clock.now()) <= LEAD_EPOCHS) return known
    await this.#lookAround()
    const start = await this.#ownEpoch(epoch - 1)
    const now = this.#clock.now()
    this.#sinceMs ??= now
    const isLate = now - this.#sinceMs >= SILENCE_MS
    const branch = start && (await chosenBranch(this.#options, start, isLate))
    this.#epochs.push(...(branch?.epochs ?? []))
    return this.#epochs[epoch - 1]
  }

  /** The last epoch that the node has itself; undefined where its proofs are not whole. */
  async #ownEpoch(last: number): Promise<ProvenEpoch | undefined> {
    const { genesis, store } = this.#options
    const context = hopContext(genesis)
    while (this.#epochs.length < last) {
      const bytes = await store.epochProof(this.#epochs.length + 1)
      const proof = bytes && decodeEpochProof(bytes)
      const trusted = this.#epochs.at(-1) ?? genesisEpoch(genesis)
      const hop = proof?.ok && verifyEpochHop(trusted, proof.value, context)
      if (!hop || !hop.ok) return undefined
      this.#epochs.push(hop.value)
    }
    return this.#epochs.at(-1) ?? genesisEpoch(genesis)
  }

  /** Once: the first peer that connects must not be the only one that is asked. */
  async #lookAround(): Promise<void> {
    const { peers, peersExpected } = this.#options
    const end = this.#clock.now() + (this.#hasLookedAround ? 0 : LOOK_AROUND_MS)
    const isAlone = () => peersExpected > 0 && 2 * peers.peers().length <= peersExpected
    while (isAlone() && this.#clock.now() < end) await this.#wait(LOOK_AGAIN_MS)
    this.#hasLookedAround = true
  }

  /** Rejects as soon as the node stops. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopped = () => reject(new Error('the node is stopping'))
      if (this.#isStopped) return stopped()
      const cancel = this.#clock.setTimer(ms, resolve)
      this.#stopWaiting = () => {
        cancel()
        stopped()
      }
    })
  }
}
