import { assert } from '../../../chain/src/bytes/assert.ts'
import { bytesEqual, bytesToHex, fromHex, type Hex } from '../../../chain/src/bytes/hex.ts'
import { assembleCertificate } from '../../../chain/src/consensus/certificate.ts'
import { leaderSchedule } from '../../../chain/src/consensus/leader-schedule.ts'
import { createConsensusCrypto } from '../../../chain/src/driver/consensus-crypto.ts'
import { ChainManager } from '../../../chain/src/manager/chain-manager.ts'
import { HistoryProofs } from '../../../chain/src/manager/history-proofs.ts'
import { epochOfHeight, isCheckpointHeight } from '../../../chain/src/params/network-params.ts'
import type { Genesis } from '../../../chain/src/rules/genesis-state.ts'
import type { KeyPair } from '../../../chain/src/rules/testing/sample-chain.ts'
import { BlockSync } from '../../../chain/src/sync/block-sync.ts'
import { SyncRequestKind, SyncRequestType } from '../../../chain/src/sync/sync-messages.ts'
import { peersOf, serverOf } from '../../../chain/src/sync/testing/served-chain.ts'
import {
  type Certificate,
  type Justification,
  JustificationType,
  VoteKind,
} from '../../../chain/src/types/consensus-objects.ts'
import { blockHash } from '../../../chain/src/types/block.ts'
import type { Transaction } from '../../../chain/src/types/transactions.ts'
import type { FaultyDisk } from './faulty-disk.ts'
import { logger, openStore } from './open-store.ts'

export type Answer = (request: Uint8Array) => Promise<Uint8Array>

/** What a node with this chain answers to block sync. */
export function answerOf(manager: ChainManager): Answer {
  const server = serverOf(manager, { places: new HistoryProofs(manager.store) })
  return (request) => server.answer(request)
}

/** The chain of another node up to a height, or a little below, by production block sync. */
export async function followUpTo(
  disk: FaultyDisk,
  genesis: Genesis,
  { source, height, waiting = [] }: FollowTerms,
): Promise<ChainManager> {
  const { store, opened } = await openStore(disk, genesis)
  const { params, chainId } = genesis
  const manager = new ChainManager({
    params,
    chainId,
    ...opened,
    store,
    inputs: {
      systemLane: () => [],
      waiting: () => waiting,
      isVerified: () => false,
      objection: () => undefined,
    },
    logger,
    onBehind: () => undefined,
    onEvidence: () => undefined,
    onHalt: ({ message }) => assert(false, message),
  })
  const answer = answerOf(source)
  const sync = new BlockSync({
    manager,
    peers: peersOf({ source: (request) => answer(noFurtherThan(height, request)) }),
    crypto: createConsensusCrypto(chainId, undefined),
    exclusively: (run) => run(),
    lastHeight: height,
  })
  await sync.catchUp()
  return manager
}

interface FollowTerms {
  readonly source: ChainManager
  readonly height: number
  /** What blocks built on it would take up. */
  readonly waiting?: readonly Transaction[]
}

function noFurtherThan(height: number, request: Uint8Array): Uint8Array {
  const asked = SyncRequestType.deserialize(request)
  if (asked.kind !== SyncRequestKind.range) return request
  const count = Math.max(0, Math.min(asked.count, height - asked.from + 1))
  return SyncRequestType.serialize({ ...asked, count })
}

/**
 * What old keys can do once their stake is gone: another past, built by the production rules and
 * certified by a quorum of the sets that those keys were in.
 */
export class ForgedBranch {
  readonly manager: ChainManager
  /** Height of the last block that is the honest chain's too. */
  readonly forkHeight: number
  readonly #genesis: Genesis
  readonly #keys: readonly KeyPair[]
  readonly #leaders = new Map<number, readonly number[]>()

  /** Starts at the final block of `manager`. */
  constructor(manager: ChainManager, genesis: Genesis, keys: readonly KeyPair[]) {
    this.manager = manager
    this.forkHeight = manager.final.header.height
    this.#genesis = genesis
    this.#keys = keys
  }

  /** Checkpoints after the fork. */
  async checkpoints(): Promise<{ readonly epoch: number; readonly hash: Hex }[]> {
    const { params, final } = this.manager
    const found: { epoch: number; hash: Hex }[] = []
    for (let height = this.forkHeight + 1; height <= final.header.height; height++) {
      const block = isCheckpointHeight(params, height) && (await this.manager.finalAt(height))
      if (block) found.push({ epoch: block.header.epoch, hash: block.hash })
    }
    return found
  }

  async extendTo(height: number): Promise<void> {
    while (this.manager.final.header.height < height) await this.#append()
  }

  async #append(): Promise<void> {
    const { manager } = this
    const { hash: parentHash } = manager.final
    const { fields, justification } = this.#place()
    const built = await manager.buildBlock({ fields, parentHash, justification })
    assert(built, 'the parent is the newest final block')
    const { header, body } = built
    const hash = bytesToHex(blockHash(header))
    const certificate = this.#certify(VoteKind.finalize, { ...fields, hash })
    const block = { hash, header, justification, body }
    await manager.commitBlocks({ blocks: [block], certificate, reproposals: [] })
  }

  #place() {
    const { params, final } = this.manager
    const { header: parent, hash } = final
    const height = parent.height + 1
    const epoch = epochOfHeight(params, height)
    const isFirst = height === 1 || isCheckpointHeight(params, parent.height)
    const parentView = isFirst ? 0 : parent.view
    const view = parentView + 1
    const justification: Justification = { parent: this.#parentCertificate(isFirst), skips: [] }
    const justHash = JustificationType.hashTreeRoot(justification)
    const leaders = this.#leadersOf(epoch, hash, isFirst)
    const proposer = leaders[view % leaders.length] as number
    const timeMs = parent.timeMs + params.blockIntervalMs
    const parentBytes = blockHash(parent)
    const fields = { epoch, view, height, timeMs, parentHash: parentBytes, parentView, justHash }
    return { fields: { ...fields, proposer }, justification }
  }

  /** Nobody asks again who led in a certified epoch; in its own epochs the branch is in order. */
  #leadersOf(epoch: number, parentHash: Hex, isFirst: boolean): readonly number[] {
    const known = this.#leaders.get(epoch)
    if (known) return known
    const set = this.manager.validators(epoch)
    assert(set, 'the set of a running epoch is fixed')
    const leaders = leaderSchedule(set, parentHash, epoch)
    if (isFirst) this.#leaders.set(epoch, leaders)
    return leaders
  }

  #parentCertificate(isFirst: boolean): Certificate[] {
    const { header, hash, certificate } = this.manager.final
    if (header.height === 0) return []
    if (!isFirst) return [this.#certify(VoteKind.notarize, { ...header, hash })]
    assert(certificate, 'an epoch ends certified')
    return [certificate]
  }

  #certify(
    kind: VoteKind,
    { epoch, view, hash }: { readonly epoch: number; readonly view: number; readonly hash: Hex },
  ): Certificate {
    const set = this.manager.validators(epoch) ?? []
    const statement = { kind, epoch, view, hash: fromHex(hash) }
    const votes = this.#keys.flatMap(({ publicKey, secretKey }) => {
      const validator = set.findIndex((member) => bytesEqual(member.publicKey, publicKey))
      if (validator < 0) return []
      const signature = createConsensusCrypto(this.#genesis.chainId, secretKey).sign(statement)
      return [[validator, { statement, validator, signature }] as const]
    })
    return assembleCertificate(statement, new Map(votes), set.length)
  }
}
