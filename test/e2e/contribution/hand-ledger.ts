import { addressOf, bytesToHex } from '@ioex/chain/bytes'
import {
  NONE,
  type Payload,
  PayloadKind,
  type ReceiptKind,
  TopUpKind,
  type Transaction,
  transactionBytes,
} from '@ioex/chain/types'
import { type HandRail, heldLost, newRail, reckon, refundOf, type Totals } from './hand-rail.ts'
import { HandNode } from './hand-node.ts'

/** The ci preset in plain numbers, written down anew: blocks per epoch, W, strikes that evict. */
export const EPOCH_BLOCKS = 10
export const WINDOW = 2
export const STRIKES = 3
const EMISSION_CAP = 1_000_000_000_000n

/** What is given: the final blocks, when beacons were fixed, and the numbers that records got. */
export interface Given {
  readonly blocks: readonly { readonly height: number; readonly transactions: Transaction[] }[]
  /** Height of the block that fixed an epoch's beacon; none: never. */
  beaconHeight(epoch: number): number | undefined
  /** Index and generation of the contract or rail that a transaction made. */
  created(height: number, transaction: number): { index: number; generation: number }
  /** Nodes of the genesis block by address, and where each is paid (hex). */
  readonly relays: ReadonlyMap<string, string>
}

export type HandKind = Extract<
  ReceiptKind,
  'proof' | 'storage' | 'relay' | 'forfeit' | 'eviction' | 'reward' | 'close' | 'payout'
>

/** A receipt that must be there, and nothing else of these kinds. */
export interface Expected {
  readonly height: number
  readonly transaction: number
  readonly kind: HandKind
  readonly value: Readonly<Record<string, unknown>>
}

type Of<K extends keyof typeof PayloadKind> = Extract<
  Payload,
  { selector: (typeof PayloadKind)[K] }
>['value']

/**
 * PROTOCOL 5 to 7 reckoned by hand for what happens in one test: it walks the blocks, looks only
 * at what was sent and when, and writes down every receipt that must have come of it. It shares no
 * line with the rules: epochs are counted one by one instead of by running totals, and the
 * automaton moves block by block instead of being replayed at a touch.
 */
export class HandLedger {
  readonly expected: Expected[] = []
  readonly nodes = new Map<string, HandNode>()
  readonly rails = new Map<number, HandRail>()
  /** Service burns and held pay burned, in all. */
  burnedService = 0n
  burnedHeld = 0n
  minted = 0n
  readonly #given: Given
  readonly #contracts = new Map<number, Of<'openContract'>>()
  readonly #epochs = new Map<number, { fees: bigint; burned: bigint }>()
  #height = 0
  #transaction = 0

  constructor(given: Given) {
    this.#given = given
    for (const [address, payout] of given.relays) {
      this.nodes.set(address, new HandNode(address, payout, 0))
    }
    for (const { height, transactions } of given.blocks) {
      if (height === 0) continue
      this.#height = height
      this.#turn()
      for (const [index, transaction] of transactions.entries()) {
        this.#transaction = index
        this.#apply(transaction)
      }
    }
  }

  get #epoch(): number {
    return epochOf(this.#height)
  }

  /** What the block itself does to every node: lapses first, then new challenges. */
  #turn(): void {
    const epoch = this.#epoch
    const opens = this.#given.beaconHeight(epoch) === this.#height
    for (const node of this.nodes.values()) {
      if (this.#height === (epoch - 1) * EPOCH_BLOCKS + 1) node.lapse(epoch, WINDOW)
      if (opens && !node.evicted && node.strikes < STRIKES) node.open(epoch, this.#height)
    }
  }

  #apply(transaction: Transaction): void {
    const { payload, sender } = transaction.body
    const who = bytesToHex(addressOf(sender))
    const bytes = BigInt(transactionBytes(transaction))
    switch (payload.selector) {
      case PayloadKind.openContract:
        this.#contracts.set(this.#created().index, payload.value as Of<'openContract'>)
        return
      case PayloadKind.openRelay:
        return this.#openRelay(who, payload.value as Of<'openRelay'>)
      case PayloadKind.fill:
        return this.#fill(payload.value as Of<'fill'>)
      case PayloadKind.prove:
        return this.#prove(this.#node(who), payload.value as Of<'prove'>, bytes)
      case PayloadKind.redeem:
        return this.#redeem(this.#node(who), payload.value as Of<'redeem'>, bytes)
      case PayloadKind.leave:
        return this.#leave(this.#node(who), payload.value as Of<'leave'>, bytes)
      case PayloadKind.topUp:
        return this.#topUp(payload.value as Of<'topUp'>)
      case PayloadKind.evict:
        return this.#touch(this.#node(bytesToHex((payload.value as Of<'evict'>).node)))
      case PayloadKind.clearWeight:
        return this.#clear(payload.value as Of<'clearWeight'>)
      case PayloadKind.close:
        return this.#close(payload.value as Of<'close'>)
      case PayloadKind.mainHeaders:
      case PayloadKind.anchor:
      case PayloadKind.lateVotes:
        return
      default:
        throw new Error(`nobody in this test sends a transaction of kind ${payload.selector}`)
    }
  }

  #openRelay(payer: string, value: Of<'openRelay'>): void {
    const { node, lockUnits, unitPrice, reservationPrice } = value
    const { index, generation } = this.#created()
    const terms = { price: 0n, unitPrice, reservationPrice, leaves: 0, term: 0, lockUnits }
    const of = { payer, node: bytesToHex(node), contract: NONE, fillEpoch: this.#epoch }
    this.rails.set(index, newRail({ index, generation, ...of, ...terms }))
  }

  #topUp({ kind, target, amount }: Of<'topUp'>): void {
    if (kind !== TopUpKind.railUnits) throw new Error('only unit locks are topped up in this test')
    const rail = this.#rail(target)
    this.#touch(this.#node(rail.node))
    rail.lockUnits += amount
  }

  #fill({ grant, payerKey, identity }: Of<'fill'>): void {
    const address = bytesToHex(grant.node)
    const known = this.nodes.get(address)
    const payout = bytesToHex(identity[0]?.payout ?? new Uint8Array(20))
    const node = known ?? new HandNode(address, payout, this.#epoch)
    this.nodes.set(address, node)
    this.#touch(node)
    const contract = this.#contracts.get(grant.contract)
    if (!contract) throw new Error(`contract ${grant.contract} was never opened`)
    const { index, generation } = this.#created()
    const { price, unitPrice, leaves } = grant
    const { term, lockUnits } = contract
    const payer = bytesToHex(addressOf(payerKey))
    const of = { payer, node: address, contract: grant.contract, fillEpoch: this.#epoch }
    const terms = { price, unitPrice, leaves, term, lockUnits }
    const rail = newRail({ index, generation, ...of, ...terms })
    this.rails.set(index, rail)
    node.take(rail, this.#epoch)
  }

  #prove(node: HandNode, { epoch }: Of<'prove'>, bytes: bigint): void {
    this.#touch(node)
    const epochs = node.pass(epoch)
    // Everybody is challenged in every epoch here: an answer pays for those that it held up, too.
    for (let later = epoch; later <= this.#epoch; later++) {
      const fixed = this.#given.beaconHeight(later)
      if (fixed !== undefined && fixed <= this.#height) node.debt += bytes
    }
    const figures = { A: epoch, P: node.proven.size, bytes: Number(bytes), debt: node.debt }
    this.#expect('proof', { node: node.address, epoch, epochs, ...figures })
  }

  #redeem(node: HandNode, { rails, vouchers }: Of<'redeem'>, bytes: bigint): void {
    this.#touch(node)
    let proceeds = 0n
    for (const index of new Set(rails)) {
      const rail = this.#rail(index)
      for (const { voucher } of vouchers) {
        if (voucher.rail !== index) continue
        rail.kib = Math.max(rail.kib, voucher.kib)
        rail.reservations = Math.max(rail.reservations, voucher.reservations)
      }
      proceeds += this.#settle(node, rail, false)
    }
    this.#pay(node, proceeds, bytes)
  }

  /** Books what a rail is owed by now; gives what goes to the node. */
  #settle(node: HandNode, rail: HandRail, closing: boolean): bigint {
    const epoch = this.#epoch
    const before = rail.totals
    const { E, elapsed } = node.countEpochs(rail)
    rail.totals = reckon(rail, E, elapsed)
    if (rail.lost !== undefined || node.evicted) this.#forfeitHeld(node, rail)
    const released = closing ? rail.totals.held - rail.forfeited : 0n
    rail.released += released
    const booked = difference(rail.totals, before)
    const paid = booked.net - booked.held + released
    const { fee, burned, toValidators, net, held } = booked
    this.burnedService += burned
    const sums = this.#epochs.get(epoch) ?? { fees: 0n, burned: 0n }
    this.#epochs.set(epoch, { fees: sums.fees + fee, burned: sums.burned + burned })
    if (fee > 0n) node.pending = { epoch, fee: (node.pending?.fee ?? 0n) + fee }
    if (fee + burned + held + released > 0n) {
      const { index, generation, payer, contract, price, unitPrice, leaves, lockUnits, need } = rail
      const { reservationPrice = 0n, kib, reservations } = rail
      const inputs = { price, unitPrice, reservationPrice, leaves, lockUnits, need }
      const counted = { E, elapsed, kib, reservations }
      const amounts = { fee, burned, toValidators, net, held, released, paid }
      const of = { node: node.address, payer, rail: index, generation, contract }
      const more = contract === NONE ? { deltaKib: rail.kib - rail.kibSettled } : {}
      const kind = contract === NONE ? 'relay' : 'storage'
      this.#expect(kind, { ...of, ...inputs, ...counted, ...amounts, ...more })
    }
    rail.kibSettled = rail.kib
    return paid
  }

  #pay(node: HandNode, proceeds: bigint, byteFee: bigint): void {
    const rest = proceeds - byteFee
    const debtPaid = node.debt < rest ? node.debt : rest
    const paid = rest - debtPaid
    node.debt -= debtPaid
    node.received += paid
    if (proceeds === 0n) return
    const { address, payout } = node
    this.#expect('payout', { node: address, payout, proceeds, byteFee, debtPaid, paid })
  }

  #leave(node: HandNode, { rail: index, lost, unpaid }: Of<'leave'>, bytes: bigint): void {
    if (!lost && !unpaid) throw new Error('nobody in this test leaves with notice')
    this.#touch(node)
    const rail = this.#rail(index)
    if (unpaid) {
      rail.unpaid = true
      return
    }
    rail.lost = this.#epoch
    this.#forfeitHeld(node, rail)
    node.debt += bytes
  }

  #clear({ rail: index }: Of<'clearWeight'>): void {
    const rail = this.#rail(index)
    const node = this.#node(rail.node)
    this.#touch(node)
    if (!node.evicted) throw new Error('only rails of the evicted are cleared in this test')
    this.#forfeitHeld(node, rail)
  }

  /** 30 %, rounded up on the rail's total, burns; the rest is for the contract's repairs. */
  #forfeitHeld(node: HandNode, rail: HandRail): void {
    const lost = heldLost(rail)
    if (lost.held === 0n) return
    rail.forfeited = rail.totals.held
    this.burnedHeld += lost.burned
    const { index, contract } = rail
    const of = { node: node.address, epoch: this.#epoch, strikes: node.strikes }
    this.#expect('eviction', { ...of, rail: index, contract, ...lost })
  }

  #close({ kind, target, generation }: Of<'close'>): void {
    if (kind !== 0) throw new Error('nobody in this test closes a whole contract')
    const rail = this.#rail(target)
    const node = this.#node(rail.node)
    this.#touch(node)
    const of = { rail: target, generation, node: node.address, payer: rail.payer }
    const { contract } = rail
    if (rail.ask === undefined) {
      rail.ask = this.#epoch
      const nothing = { refundTime: 0n, refundUnits: 0n, burnedUnits: 0n, releasedHeld: 0n }
      this.#expect('close', { ...of, contract, asked: true, ...nothing })
      return
    }
    const isGone = rail.lost !== undefined || node.evicted || contract === NONE
    if (!isGone) throw new Error('only relay rails and rails of the lost are closed in this test')
    this.#pay(node, this.#settle(node, rail, true), 0n)
    const releasedHeld = rail.totals.held - rail.forfeited
    const refund = refundOf(rail)
    this.burnedHeld += refund.burnedUnits
    this.#expect('close', { ...of, contract, asked: false, ...refund, releasedHeld })
    rail.freed = this.#epoch
    this.rails.delete(target)
  }

  /** What happens to a node before any rule looks at it. */
  #touch(node: HandNode): void {
    this.#reward(node)
    for (const forfeit of node.unsaid.splice(0)) this.#expect('forfeit', forfeit)
    if (node.evicted || node.strikes < STRIKES) return
    node.evicted = true
    const nothing = { rail: NONE, contract: NONE, burned: 0n, toPots: 0n }
    const of = { node: node.address, epoch: this.#epoch, strikes: node.strikes }
    this.#expect('eviction', { ...of, ...nothing, held: node.held })
  }

  /** Half of what its fees burned comes back to those who earned them, by share. */
  #reward(node: HandNode): void {
    const { pending } = node
    if (!pending || pending.epoch >= this.#epoch) return
    node.pending = undefined
    const sums = this.#epochs.get(pending.epoch)
    if (!sums || sums.fees === 0n) return
    const due = sums.fees / 10n
    const half = (sums.burned < due ? sums.burned : due) / 2n
    const emission = half < EMISSION_CAP ? half : EMISSION_CAP
    const amount = (emission * pending.fee) / sums.fees
    if (amount === 0n) return
    node.received += amount
    this.minted += amount
    const of = { node: node.address, ...pending }
    this.#expect('reward', { ...of, epochFees: sums.fees, emission, amount })
  }

  #created(): { index: number; generation: number } {
    return this.#given.created(this.#height, this.#transaction)
  }

  #node(address: string): HandNode {
    const node = this.nodes.get(address)
    if (!node) throw new Error(`${address} sends as a node and is none`)
    return node
  }

  #rail(index: number): HandRail {
    const rail = this.rails.get(index)
    if (!rail) throw new Error(`there is no rail ${index}`)
    return rail
  }

  #expect(kind: HandKind, value: Readonly<Record<string, unknown>>): void {
    this.expected.push({ height: this.#height, transaction: this.#transaction, kind, value })
  }
}

export function epochOf(height: number): number {
  return Math.floor((height - 1) / EPOCH_BLOCKS) + 1
}

function difference(after: Totals, before: Totals): Totals {
  return {
    time: after.time - before.time,
    units: after.units - before.units,
    fee: after.fee - before.fee,
    burned: after.burned - before.burned,
    toValidators: after.toValidators - before.toValidators,
    net: after.net - before.net,
    held: after.held - before.held,
  }
}
