import { assert } from '../../../chain/src/bytes/assert.ts'
import { fromHex } from '../../../chain/src/bytes/hex.ts'
import { sign } from '../../../chain/src/bytes/signature.ts'
import { ConsensusKey } from '../../../chain/src/driver/consensus-key.ts'
import type { ChainManager, FinalizedBlock } from '../../../chain/src/manager/chain-manager.ts'
import { ForkedNetworkError } from '../../../chain/src/node/branch-choice.ts'
import { nonceOf } from '../../../chain/src/rules/accounts.ts'
import { possessionDigest } from '../../../chain/src/rules/register.ts'
import type { KeyPair } from '../../../chain/src/rules/testing/sample-chain.ts'
import type { SyncPeers } from '../../../chain/src/sync/sync-peers.ts'
import { peersOf } from '../../../chain/src/sync/testing/served-chain.ts'
import { SyncRequestKind, SyncRequestType } from '../../../chain/src/sync/sync-messages.ts'
import { encodeTransaction, signTransaction } from '../../../chain/src/types/transaction-codec.ts'
import {
  NodeRole,
  type Payload,
  PayloadKind,
  type Transaction,
} from '../../../chain/src/types/transactions.ts'
import { DelegationKind, NONE } from '../../../chain/src/types/records.ts'
import { validatorOfKey } from '../../../chain/src/rules/validator-set.ts'
import { Random } from '../random.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { type Answer, answerOf, followUpTo, ForgedBranch } from './forged-branch.ts'
import { FullInstance } from './full-instance.ts'
import type { FullWorld } from './full-world.ts'
import { keyNamed } from './workload.ts'

/** More than two thirds of the first sets: whoever has their keys can certify another past. */
const LEAVERS = ['validator-0', 'validator-1', 'validator-2'] as const
const FIRST_HANDOVER_EPOCH = 2
/** Blocks that newcomers get with all others once they are there. */
const LIVE_BLOCKS = 3
/** Until all stake of the leavers is out, and until newcomers are at the tip. */
const TURNOVER_WITHIN_MS = 240_000
const JOIN_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 500

export const laterNameOf = (name: string) => `${name}-later`

/** What a newcomer meets, and when. */
interface NewcomerTerms {
  /** Honest peers do not answer before. */
  readonly silentUntilMs: number
  readonly seesMainFromMs: number
  /** Where its own chain ends; 0 for an empty disk. */
  readonly height: number
}

/**
 * I16: validators hand over to other keys and take their stake out. Behind the anchors that let it
 * out their old keys sign another past, and newcomers meet both: nodes with an empty disk, and
 * nodes that were away for epochs.
 */
export class Newcomers {
  /** Told what they were shown before the main chain could decide. */
  stopped = 0
  readonly #world: FullWorld
  readonly #random: Random
  readonly #folder: string
  readonly #succeeded = new Set<string>()
  /** Height of the newest block before all handovers. */
  #forkMax: number | undefined
  #isForging = false
  readonly #branches: ForgedBranch[] = []
  readonly #liars = new Map<string, Answer>()
  #planned = 0
  readonly #nodes: FullInstance[] = []
  readonly #started = new Map<FullInstance, NewcomerTerms>()
  #goal = Number.POSITIVE_INFINITY
  #deadlineMs: number

  constructor(world: FullWorld, seed: number, folder: string) {
    this.#world = world
    this.#folder = folder
    this.#random = new Random(seed + 2 ** 32)
    this.#deadlineMs = world.scenario.calmFromMs + TURNOVER_WITHIN_MS
  }

  /** A validator's key, which the one that stands in its place in a later set follows. */
  keyOf(name: string): ConsensusKey {
    const { secretKey: later } = keyNamed(laterNameOf(name))
    if (this.#succeeded.has(name)) return new ConsensusKey(later)
    return new ConsensusKey(keyNamed(name).secretKey, {
      next: () => Promise.resolve(later),
      taken: () => Promise.resolve(void this.#succeeded.add(name)),
    })
  }

  get isOver(): boolean {
    return this.#world.instances.every(({ height }) => height >= this.#goal)
  }

  /** Newcomers that are where all others are. */
  get joined(): number {
    return this.#nodes.filter(({ height }) => height >= this.#goal).length
  }

  get isLate(): boolean {
    return this.#world.heap.now > this.#deadlineMs
  }

  /** The first node to have a block says so. */
  afterBlock(instance: FullInstance, manager: ChainManager, { header }: FinalizedBlock): void {
    if (this.#isForging) return
    const { checker } = this.#world
    if (header.epoch >= FIRST_HANDOVER_EPOCH) this.#handOver(instance, manager)
    this.#askForStake(instance, manager)
    if (checker.releases < LEAVERS.length) return
    this.#isForging = true
    this.#world.work(() => this.#forge(manager))
  }

  /** One after the other: no more than a third of the weight may leave at once. */
  #handOver(instance: FullInstance, { ledger }: ChainManager): void {
    const index = LEAVERS.findIndex((_, i) => (ledger.validators.get(i)?.bond ?? 0n) > 0n)
    const name = LEAVERS[index]
    if (name === undefined) return
    this.#forkMax ??= this.#world.checker.height
    const later = keyNamed(laterNameOf(name))
    const owner = keyNamed(`${name}-owner`)
    const amount = ledger.validators.get(index)?.bond ?? 0n
    const payloads: Payload[] = [
      { selector: PayloadKind.unbond, value: { validator: index, delegation: NONE, amount } },
    ]
    if (validatorOfKey(ledger, later.publicKey) === undefined) {
      payloads.unshift(this.#registerOf(owner, later))
    }
    const nonce = nonceOf(ledger, owner.address)
    this.#world.note(`${name} is to hand over`)
    payloads.forEach((payload, i) => {
      const bytes = encodeTransaction(this.#signed(owner, nonce + i, payload, instance.height))
      this.#world.run(instance, () => instance.submit(bytes))
    })
  }

  /** Asked after every block: nodes take it up when the rule lets it out, and not before. */
  #askForStake(instance: FullInstance, { ledger }: ChainManager): void {
    for (let delegation = 0; delegation < ledger.delegations.count; delegation++) {
      if (ledger.delegations.get(delegation)?.kind !== DelegationKind.unbonding) continue
      const payload = { selector: PayloadKind.releaseStake, value: { delegation } } as const
      const free = { maxBaseFee: 10n, tip: 0n }
      const sender = keyNamed(LEAVERS[0])
      const bytes = encodeTransaction(this.#signed(sender, 0, payload, instance.height, free))
      this.#world.run(instance, () => instance.submit(bytes))
      return
    }
  }

  #registerOf(owner: KeyPair, key: KeyPair): Payload {
    const { chainId } = this.#world.genesis
    const proof = sign(possessionDigest(chainId, owner.address, key.publicKey), key.secretKey)
    const value = {
      nodeKey: key.publicKey,
      nodeProof: proof,
      consensusKey: key.publicKey,
      consensusProof: proof,
      payout: owner.address,
      roles: NodeRole.validator,
      replaces: NONE,
    }
    return { selector: PayloadKind.register, value }
  }

  #signed(
    key: KeyPair,
    nonce: number,
    payload: Payload,
    height: number,
    fees = { maxBaseFee: 10n, tip: 2n },
  ): Transaction {
    const body = { sender: key.publicKey, nonce, validUntil: height + 60, ...fees, payload }
    return signTransaction(body, this.#world.genesis.chainId, key.secretKey)
  }

  async #forge(source: ChainManager): Promise<void> {
    const random = this.#random
    for (let i = random.between(1, 2); i > 0; i--) {
      const branch = await this.#forgeBranch(source)
      this.#branches.push(branch)
      const [truth, lie] = [answerOf(source), answerOf(branch.manager)]
      this.#liars.set(`liar-${this.#liars.size}`, lie)
      if (random.chance(0.5)) this.#liars.set(`liar-${this.#liars.size}`, mixed(truth, lie))
    }
    await this.#anchorForged()
    const { heap } = this.#world
    for (const kind of random.pick([['fresh'], ['away'], ['fresh', 'away']])) {
      this.#planned += 1
      const at = heap.now + random.between(0, 3_000)
      heap.schedule(at, () => this.#world.work(() => this.#join(kind, source)))
    }
  }

  /** A payment of the forger's is not made in its own past. */
  async #forgeBranch(source: ChainManager): Promise<ForgedBranch> {
    const { genesis } = this.#world
    const random = this.#random
    const waiting: Transaction[] = []
    const height = random.between(0, this.#forkMax ?? 0)
    const manager = await followUpTo(new FaultyDisk(), genesis, { source, height, waiting })
    const [owner, other] = [keyNamed('validator-0-owner'), keyNamed('alice')]
    const value = { to: other.address, amount: BigInt(random.between(1, 1000)) }
    const payload = { selector: PayloadKind.transfer, value } as const
    const at = manager.final.header.height
    waiting.push(this.#signed(owner, nonceOf(manager.ledger, owner.address), payload, at))
    const branch = new ForgedBranch(manager, genesis, LEAVERS.map(keyNamed))
    const { epochBlocks } = genesis.params
    const tip = source.final.header.height
    // Sometimes much longer than the honest chain, sometimes an epoch or two.
    const end = random.pick([at + 2 * epochBlocks, tip, tip + random.between(1, 4) * epochBlocks])
    await branch.extendTo(end)
    this.#world.note(`forged: blocks ${at + 1} to ${end}`)
    return branch
  }

  /** Later than the honest checkpoints behind which the stake was let out: Invariant A. */
  async #anchorForged(): Promise<void> {
    const random = this.#random
    for (const branch of this.#branches) {
      if (random.chance(0.3)) continue
      for (const { epoch, hash } of (await branch.checkpoints()).slice(0, 6)) {
        const { secretKey } = keyNamed(LEAVERS[0])
        const checkpointHash = fromHex(hash)
        this.#world.mainChain.write({ epoch, checkpointHash, validatorIndex: 0, secretKey })
      }
    }
  }

  async #join(kind: string, source: ChainManager): Promise<void> {
    const world = this.#world
    const random = this.#random
    const { now } = world.heap
    const tip = random.chance(0.2) ? source.final.header.height : (this.#forkMax ?? 0)
    const height = kind === 'fresh' ? 0 : random.between(1, tip)
    const disk = new FaultyDisk()
    const own = await followUpTo(disk, world.genesis, { source, height })
    const isBlind = random.chance(0.3)
    const terms: NewcomerTerms = {
      silentUntilMs: !isBlind && random.chance(0.3) ? now + random.between(500, 5_000) : 0,
      seesMainFromMs: isBlind ? now + random.between(500, 4_000) : 0,
      height: own.final.header.height,
    }
    const peers = this.#peersOf(terms)
    world.note(`newcomer at ${terms.height}: ${JSON.stringify(terms)}, ${peers.peers().join(' ')}`)
    const node = new FullInstance(world, `${kind}-newcomer`, this.#folder, {
      key: () => undefined,
      peers,
      disk,
      seesMainFromMs: terms.seesMainFromMs,
    })
    this.#nodes.push(node)
    this.#started.set(node, terms)
    world.add(node)
    world.run(node, () => node.start())
    this.#look(node)
    if (this.#nodes.length < this.#planned) return
    this.#goal = world.checker.height + LIVE_BLOCKS
    this.#deadlineMs = now + JOIN_WITHIN_MS
  }

  /** The poll of production, on virtual time. */
  #look(node: FullInstance): void {
    const { heap } = this.#world
    this.#world.run(node, async () => {
      await node.lookForMore()
      if (node.stoppedBy) this.#world.note(`${node.name} stopped: ${node.stoppedBy.message}`)
      this.#checkUndecided(node)
    })
    heap.schedule(heap.now + LOOK_EVERY_MS, () => this.#look(node))
  }

  /** Where the main chain says nothing yet, a newcomer that was shown a fork stands still. */
  #checkUndecided(node: FullInstance): void {
    const { checker, heap } = this.#world
    const terms = this.#started.get(node)
    assert(terms, 'it was started')
    if (heap.now >= terms.seesMainFromMs) return
    const isForked = this.#branches.some(({ forkHeight }) => forkHeight >= terms.height)
    if (!isForked) return
    if (!(node.stoppedBy instanceof ForkedNetworkError)) {
      checker.report(
        `I16 ${node.name} is not told that nothing decides: ${node.stoppedBy?.message}`,
      )
    }
    if (node.height > terms.height) checker.report(`I16 ${node.name} went on where nothing decides`)
    this.stopped += 1
  }

  #peersOf({ silentUntilMs }: NewcomerTerms): SyncPeers {
    const world = this.#world
    const honest = world.instances.map(({ name }) => name)
    const names = [...honest, ...this.#liars.keys()]
    for (let i = names.length - 1; i > 0; i--) {
      const j = this.#random.between(0, i)
      ;[names[i], names[j]] = [names[j] as string, names[i] as string]
    }
    const truth = (name: string): Answer => {
      return async (request) => {
        const served = world.instanceOf(name)?.manager
        if (!served || world.heap.now < silentUntilMs) throw new Error(`${name} does not answer`)
        return answerOf(served)(request)
      }
    }
    const answers = names.map((name) => [name, this.#liars.get(name) ?? truth(name)] as const)
    return peersOf(Object.fromEntries(answers))
  }
}

/** Proofs of one, blocks of another. */
function mixed(proofs: Answer, blocks: Answer): Answer {
  return (request) => {
    const { kind } = SyncRequestType.deserialize(request)
    return kind === SyncRequestKind.range ? blocks(request) : proofs(request)
  }
}
