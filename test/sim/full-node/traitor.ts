import { bytesEqual, fromHex } from '../../../chain/src/bytes/hex.ts'
import type {
  ConsensusCrypto,
  ConsensusMessage,
  FinalBlock,
} from '../../../chain/src/consensus/machine-interface.ts'
import { leaderSchedule } from '../../../chain/src/consensus/leader-schedule.ts'
import { createConsensusCrypto } from '../../../chain/src/driver/consensus-crypto.ts'
import { EMPTY_BODY, encodeMessage } from '../../../chain/src/driver/message-codec.ts'
import type { ChainManager } from '../../../chain/src/manager/chain-manager.ts'
import { checkpointHeight, epochOfHeight } from '../../../chain/src/params/network-params.ts'
import { setMembers } from '../../../chain/src/rules/validator-set.ts'
import { BlockBodyType } from '../../../chain/src/types/block.ts'
import {
  type Certificate,
  type Header,
  type Vote,
  VoteKind,
} from '../../../chain/src/types/consensus-objects.ts'
import { ZERO_HASH } from '../../../chain/src/types/primitives.ts'
import { transactionListRoot } from '../../../chain/src/types/transaction-codec.ts'
import type { Random } from '../random.ts'
import type { FullInstance } from './full-instance.ts'
import type { FullWorld } from './full-world.ts'
import { keyNamed } from './workload.ts'

/** The validator that lies, in the histories that have one: a quarter of the weight. */
export const TRAITOR = 'validator-3'
const EVERY_MS = [150, 700] as const
/** More than a node keeps of one peer, and of all. */
const EARLY_BODIES = 20
const VIEWS_AHEAD = 40
const NO_TRANSACTIONS = BlockBodyType.serialize({ transactions: [] })
const LIES = ['early', 'early', 'ahead', 'votes'] as const

interface Said {
  readonly epoch: number
  readonly view: number
  readonly hash: Uint8Array
  readonly self: number
}

/**
 * A member of the set that signs whatever harms. Its node follows without voting, so that it knows
 * the chain; its key signs beside it: more bodies for the next epoch than anybody keeps, blocks
 * for views far ahead, votes against its own votes, and, where it leads, several valid
 * blocks, to some this one, to others that.
 */
export class Traitor {
  readonly #world: FullWorld
  readonly #random: Random
  readonly #crypto: ConsensusCrypto
  readonly #publicKey: Uint8Array

  constructor(world: FullWorld, random: Random) {
    this.#world = world
    this.#random = random
    const { publicKey, secretKey } = keyNamed(TRAITOR)
    this.#publicKey = publicKey
    this.#crypto = createConsensusCrypto(world.genesis.chainId, secretKey)
  }

  start(): void {
    const { heap } = this.#world
    heap.schedule(heap.now + this.#random.between(...EVERY_MS), () => {
      const { manager } = this.#node
      if (manager) this.#lie(this.#random.pick(LIES), manager)
      this.start()
    })
  }

  /** Another block is final at its node: perhaps it leads the next view. */
  afterBlock(manager: ChainManager): void {
    this.#world.run(this.#node, () => this.#lead(manager))
  }

  /** Both were signed with its key. */
  isShownBy(votes: readonly Vote[]): boolean {
    return votes.every(({ statement, signature }) =>
      this.#crypto.verify(statement, this.#publicKey, signature),
    )
  }

  get #node(): FullInstance {
    return this.#world.instanceOf(TRAITOR) as FullInstance
  }

  #placeIn({ ledger }: ChainManager, epoch: number): number | undefined {
    const members = setMembers(ledger, epoch) ?? []
    const index = members.findIndex(({ publicKey }) => bytesEqual(publicKey, this.#publicKey))
    return index < 0 ? undefined : index
  }

  #lie(lie: (typeof LIES)[number], manager: ChainManager): void {
    const { final } = manager
    const epoch = epochOfHeight(manager.params, final.header.height + 1)
    const self = this.#placeIn(manager, lie === 'early' ? epoch + 1 : epoch)
    if (self === undefined) return
    this.#world.note(`${TRAITOR} lies: ${lie}`)
    const peer = this.#random.pick(this.#world.others(this.#node))
    if (lie === 'early') {
      for (let i = 0; i < EARLY_BODIES; i++)
        this.#tell(peer, this.#unfounded(final, epoch + 1, self))
    } else if (lie === 'ahead') {
      for (let i = 0; i < EARLY_BODIES; i++) this.#tell(peer, this.#unfounded(final, epoch, self))
    } else {
      for (const vote of this.#votes(final, epoch, self)) {
        this.#tell(peer, this.#encoded({ type: 'vote', vote }))
      }
    }
  }

  /** A block on what is final, well signed and with its own body, but for no reason. */
  #unfounded({ hash, header }: FinalBlock, epoch: number, self: number): Uint8Array {
    const random = this.#random
    const from = epoch === header.epoch ? header.view : 0
    const proposed: Header = {
      ...header,
      epoch,
      view: from + random.between(1, VIEWS_AHEAD),
      height: header.height + 1,
      timeMs: this.#world.heap.now,
      parentHash: fromHex(hash),
      parentView: from,
      justHash: this.#crypto.hashJustification({ parent: [], skips: [] }),
      proposer: self,
      txRoot: transactionListRoot([]),
      stateRoot: random.bytes(32),
    }
    return this.#proposal(proposed, { parent: [], skips: [] }, NO_TRANSACTIONS)
  }

  /** Every kind, for views around the current one, for blocks that are there and for others. */
  #votes({ hash, header }: FinalBlock, epoch: number, self: number): Vote[] {
    const random = this.#random
    const from = epoch === header.epoch ? header.view : 0
    return Array.from({ length: 24 }, () => {
      const kind = random.pick([VoteKind.notarize, VoteKind.nullify, VoteKind.finalize])
      const block = random.pick([fromHex(hash), random.bytes(32)])
      const view = Math.max(1, from + random.between(-1, 3))
      return this.#sign(kind, {
        epoch,
        view,
        hash: kind === VoteKind.nullify ? ZERO_HASH : block,
        self,
      })
    })
  }

  /** Several valid blocks in the view after a final one, if that is its own to lead. */
  async #lead(manager: ChainManager): Promise<void> {
    const { final, params } = manager
    const height = final.header.height + 1
    const epoch = epochOfHeight(params, height)
    const self = this.#placeIn(manager, epoch)
    const start = await manager.finalAt(checkpointHeight(params, epoch - 1))
    const validators = manager.validators(epoch)
    if (self === undefined || !start || !validators || !final.certificate) return
    const isFirst = final.hash === start.hash
    const parentView = isFirst ? 0 : final.certificate.statement.view
    const view = parentView + 1
    const leaders = leaderSchedule(validators, start.hash, epoch)
    if (leaders[view % leaders.length] !== self) return
    const justification = { parent: [final.certificate], skips: [] }
    const fields = {
      epoch,
      view,
      height,
      parentHash: fromHex(final.hash),
      parentView,
      justHash: this.#crypto.hashJustification(justification),
      proposer: self,
    }
    const proposals: Uint8Array[] = []
    for (let i = 0; i < this.#random.between(1, 4); i++) {
      const timeMs = Math.max(this.#world.heap.now, final.header.timeMs + 1) + i
      const request = { fields: { ...fields, timeMs }, parentHash: final.hash, justification }
      const built = await manager.buildBlock(request)
      if (built) proposals.push(this.#proposal(built.header, justification, built.body))
    }
    this.#spread(proposals)
  }

  /** All of them to everybody, or to each another one. */
  #spread(proposals: readonly Uint8Array[]): void {
    if (proposals.length === 0) return
    this.#world.note(`${TRAITOR} leads with ${proposals.length} blocks`)
    const isSplit = this.#random.chance(0.5)
    for (const peer of this.#world.others(this.#node)) {
      const said = isSplit ? [this.#random.pick(proposals)] : proposals
      for (const proposal of said) this.#tell(peer, proposal)
    }
  }

  #proposal(
    header: Header,
    justification: { readonly parent: Certificate[]; readonly skips: Certificate[] },
    body: Uint8Array,
  ): Uint8Array {
    const { epoch, view, proposer: self } = header
    const hash = this.#crypto.hashHeader(header)
    const leaderVote = this.#sign(VoteKind.notarize, { epoch, view, hash, self })
    return this.#encoded(
      { type: 'proposal', proposal: { header, justification, leaderVote } },
      body,
    )
  }

  #sign(kind: VoteKind, said: Said): Vote {
    const { epoch, view, hash, self } = said
    const statement = { kind, epoch, view, hash }
    return { statement, validator: self, signature: this.#crypto.sign(statement) }
  }

  #encoded(message: ConsensusMessage, body: Uint8Array = EMPTY_BODY): Uint8Array {
    return encodeMessage({ type: 'consensus', message, body })
  }

  #tell(peer: FullInstance, message: Uint8Array): void {
    this.#world.carry(this.#node, peer, () => peer.receive(TRAITOR, message))
  }
}
