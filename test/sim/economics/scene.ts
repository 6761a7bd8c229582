import { assert } from '../../../chain/src/bytes/assert.ts'
import type { NetworkParams } from '../../../chain/src/params/network-params.ts'
import { bytesEqual } from '../../../chain/src/bytes/hex.ts'
import { addressOf } from '../../../chain/src/bytes/signature.ts'
import { billedLeaves } from '../../../chain/src/rules/settlement.ts'
import { auditSupply } from '../../../chain/src/rules/supply.ts'
import { type Actor, codeOf, World } from '../../../chain/src/rules/testing/world.ts'
import { LEAVES_PER_GIB } from '../../../chain/src/types/primitives.ts'
import { NONE } from '../../../chain/src/types/records.ts'

/** One history: which rules, which luck, how long, how much each provider stores. */
export interface Setting {
  readonly seed: number
  readonly params: Partial<NetworkParams>
  /** Epochs until payers close everything. */
  readonly epochs: number
  /** Slots that each provider holds for others. */
  readonly slots: number
  /** Challenged(e) iff a draw is below this fraction of 2^64; undefined = as the budget says. */
  readonly rate?: bigint
}

/**
 * Somebody with a purse: one owner of any number of nodes, payers and delegates, and what it does.
 * Its wealth is what its accounts hold; what is not money on the ledger (disks, service enjoyed
 * without pay) it books with the scene under its name.
 */
export interface Agent {
  readonly name: string
  /** Where it holds all validators: whose payments' share counts as its own. */
  readonly tolls?: 'of its own payments' | 'of all payments'
  /** Everything whose balances are the agent's. */
  accounts(): readonly Actor[]
  /** In the first epoch, before anything happens. */
  setup(scene: Scene): void
  /** Before anybody acts: may have the epoch's beacon drawn again, at a price that it books. */
  drawBeacon?(scene: Scene, again: () => void): void
  /** In every epoch, once its beacon is fixed; also while everything is being closed. */
  perEpoch(scene: Scene): void
}

/** Price per GiB-epoch of honest slots: 61,035 units per epoch of a slot of at most 64 KiB. */
export const SLOT_PRICE = 1_000_000_000n
/** Price per GiB moved; a slot's held pay fills up to about 30 epochs of its pay. */
export const UNIT_PRICE = 10_000_000_000n
/** Keeping a slot costs 8/10 of its gross pay. */
const COST_TENTHS = 8n
/** Size that every transaction is charged for, about that of a proof. */
export const TRANSACTION_BYTES = 4096
const FUNDS = 10n ** 16n

/**
 * The production rules on the production ledger, epoch after epoch, with the agents that act in
 * it. Fees of transactions that owners send are left out, which favours whoever cheats by sending
 * many; byte fees of node transactions are charged.
 */
export class Scene {
  readonly world: World
  readonly setting: Setting
  readonly #agents: readonly Agent[]
  readonly #funded = new Map<string, bigint>()
  readonly #costs = new Map<string, bigint>()
  readonly #actors = new Set<string>()
  /** True once payers have asked for everything back. */
  isClosing = false
  /** Nodes whose proofs, or redeems, no block takes in this epoch. */
  readonly starved = { prove: new Set<string>(), redeem: new Set<string>() }

  constructor(setting: Setting, agents: readonly Agent[]) {
    this.setting = setting
    this.#agents = agents
    this.world = new World({ baseFeePerByte: 1n, ...setting.params })
    this.world.bytes = TRANSACTION_BYTES
  }

  get epoch(): number {
    return this.world.epoch
  }

  /** Gives a new actor money to act with; it does not count as profit. */
  fund(who: Actor): void {
    if (this.#actors.has(who.name)) return
    this.#actors.add(who.name)
    this.world.fund(who, FUNDS)
    this.#funded.set(who.name, FUNDS)
  }

  /** Books a cost (or, negative, a benefit) that the ledger does not see. */
  book(agent: string, cost: bigint): void {
    this.#costs.set(agent, (this.#costs.get(agent) ?? 0n) + cost)
  }

  /** One epoch of keeping a rail's bytes. */
  bookStorage(agent: string, rail: number): void {
    const { price, leaves } = this.world.rail(rail)
    const tenths = COST_TENTHS * price * billedLeaves(leaves)
    this.book(agent, tenths / (10n * LEAVES_PER_GIB))
  }

  profit(agent: Agent): bigint {
    let wealth = 0n
    for (const who of agent.accounts()) {
      wealth += this.world.balance(who) - (this.#funded.get(who.name) ?? 0n)
    }
    if (agent.tolls === 'of its own payments') wealth += this.#tollsOf(agent.accounts())
    if (agent.tolls === 'of all payments') {
      const { epochs } = this.world.draft
      for (let e = 0; e < epochs.count; e++) wealth += epochs.get(e)?.toValidators ?? 0n
    }
    return wealth - (this.#costs.get(agent.name) ?? 0n)
  }

  /** What validators got out of payments of these accounts. */
  #tollsOf(payers: readonly Actor[]): bigint {
    let sum = 0n
    for (const { payer, toValidators } of [
      ...this.world.receiptsOf('storage'),
      ...this.world.receiptsOf('relay'),
    ]) {
      if (payers.some(({ address }) => bytesEqual(address, payer))) sum += toValidators
    }
    for (const { delegate, toValidators } of this.world.receiptsOf('repair')) {
      if (payers.some(({ address }) => bytesEqual(address, delegate))) sum += toValidators
    }
    return sum
  }

  run(): void {
    this.world.fixBeacon(`${this.setting.seed}`)
    for (const agent of this.#agents) agent.setup(this)
    while (this.epoch < this.setting.epochs) this.#step()
    this.#close()
    const audited = auditSupply(this.world.draft)
    assert(audited.ok, audited.ok ? '' : audited.fault.message)
  }

  #step(): void {
    const { rate, seed } = this.setting
    // The last challenge of each rail comes at once, so that no history has luck with its end.
    const isRare = rate !== undefined && !this.isClosing
    this.world.nextEpoch(isRare ? { q1: rate, q2: rate } : undefined)
    let draws = 0
    const again = () => {
      this.world.fixBeacon(draws === 0 ? `${seed}` : `${seed} ${draws}`)
      draws += 1
    }
    again()
    for (const agent of this.#agents) agent.drawBeacon?.(this, again)
    for (const agent of this.#agents) agent.perEpoch(this)
  }

  /** Payers ask for everything; epochs pass until the last rail is settled and freed. */
  #close(): void {
    this.isClosing = true
    const { world } = this
    const nobody = actorOf(world, 0)
    const { contracts, rails, nodes } = world.draft
    for (let i = 0; i < contracts.count; i++) {
      if (world.contract(i).live) world.closeContract(actorAt(world.contract(i).payer), i)
    }
    for (let i = 0; i < rails.count; i++) {
      const { live, contract, payer } = world.rail(i)
      if (live && contract === NONE) world.close(actorAt(payer), i)
    }
    const { proofWindowEpochs, strikesToEvict } = world.params
    const patience = this.epoch + (strikesToEvict + 3) * (proofWindowEpochs + 1)
    for (let live = true; live; ) {
      assert(this.epoch < patience, 'a rail does not close')
      this.#step()
      live = false
      for (let i = 0; i < rails.count; i++) {
        if (world.rail(i).live && codeOf(world.close(nobody, i)) !== 'ok') live = true
      }
    }
    this.#step()
    for (let i = 0; i < nodes.count; i++) world.touch(actorOf(world, i))
  }
}

const byAddress = new Map<string, Actor>()

/** Makes an actor findable by its address, as payers and nodes in records are. */
export function known(who: Actor): Actor {
  byAddress.set(who.address.toString(), who)
  return who
}

function actorAt(address: Uint8Array): Actor {
  const who = byAddress.get(address.toString())
  assert(who, 'a payer is an actor of the scene')
  return who
}

function actorOf(world: World, node: number): Actor {
  const record = world.draft.nodes.get(node)
  assert(record, 'a node index names no node')
  return actorAt(addressOf(record.nodeKey))
}
