import { bytesToHex } from '../../../chain/src/bytes/hex.ts'
import { sign, signingDigest } from '../../../chain/src/bytes/signature.ts'
import { nonceOf } from '../../../chain/src/rules/accounts.ts'
import { possessionDigest } from '../../../chain/src/rules/register.ts'
import { type KeyPair, keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { NONE } from '../../../chain/src/types/records.ts'
import { ZERO_KEY } from '../../../chain/src/types/primitives.ts'
import { encodeTransaction, signTransaction } from '../../../chain/src/types/transaction-codec.ts'
import { NodeRole, type Payload, PayloadKind } from '../../../chain/src/types/transactions.ts'
import { voucherRoot } from '../../../chain/src/types/voucher-root.ts'
import type { FullInstance } from './full-instance.ts'
import type { FullWorld } from './full-world.ts'

export const UNITS = 100_000_000n
export const PAYERS = ['alice', 'bob', 'carol'] as const
export const RELAYS = ['relay-0', 'relay-1'] as const
const RESERVATION_PRICE = 1_000_000n

const ACTIONS = [
  ...(['pay', 'pay', 'register', 'open', 'redeem', 'redeem', 'unbond'] as const),
  ...(['release', 'release', 'release'] as const),
]

/** Kinds that go without an account: nonce and tip are 0. */
const FREE: readonly number[] = [PayloadKind.redeem, PayloadKind.releaseStake]

const keys = new Map<string, KeyPair>()

/** Keys are made once for all histories. */
export function keyNamed(name: string): KeyPair {
  const key = keys.get(name) ?? keyOf(name)
  keys.set(name, key)
  return key
}

/** Clients: each action is one random transaction that one random node is asked to take. */
export class Workload {
  readonly #world: FullWorld
  #registered = 0
  /** Sent before; some are sent again, to other nodes. */
  readonly #sent: Uint8Array[] = []

  constructor(world: FullWorld) {
    this.#world = world
  }

  async act(): Promise<void> {
    const { random, instances } = this.#world
    const up = instances.filter(({ isUp }) => isUp)
    if (up.length === 0) return
    const node = random.pick(up)
    const bytes =
      random.chance(0.15) && this.#sent.length > 0 ? random.pick(this.#sent) : this.#make(node)
    if (!bytes) return
    if (this.#sent.length < 64) this.#sent.push(bytes)
    await node.submit(bytes)
  }

  #make(node: FullInstance): Uint8Array | undefined {
    const { random } = this.#world
    const payer = keyNamed(random.pick(PAYERS))
    switch (random.pick(ACTIONS)) {
      case 'pay': {
        const { address } = keyNamed(random.pick(PAYERS))
        const amount = BigInt(random.between(1, 1_000_000))
        return this.#byOwner(node, payer, {
          selector: PayloadKind.transfer,
          value: { to: address, amount },
        })
      }
      case 'register':
        return this.#byOwner(node, payer, this.#register(payer))
      case 'open': {
        const terms = { lockUnits: UNITS, unitPrice: 0n, reservationPrice: RESERVATION_PRICE }
        const value = { node: keyNamed(random.pick(RELAYS)).address, ...terms }
        return this.#byOwner(node, payer, { selector: PayloadKind.openRelay, value })
      }
      case 'redeem':
        return this.#redeem(node)
      case 'unbond': {
        // Where validators leave for good, each takes its stake out once and whole.
        if (this.#world.newcomers) return undefined
        // Where one lies, the others keep two thirds of the weight.
        const validator = this.#world.traitor ? 3 : random.between(0, 3)
        const owner = keyNamed(`validator-${validator}-owner`)
        const amount = BigInt(random.between(1, 5)) * UNITS
        const value = { validator, delegation: NONE, amount }
        return this.#byOwner(node, owner, { selector: PayloadKind.unbond, value })
      }
      default:
        return this.#release(node, payer)
    }
  }

  #register(owner: KeyPair): Payload {
    const key = keyNamed(`node-${this.#registered++}`)
    const digest = possessionDigest(this.#world.genesis.chainId, owner.address, key.publicKey)
    const value = {
      nodeKey: key.publicKey,
      nodeProof: sign(digest, key.secretKey),
      consensusKey: ZERO_KEY,
      consensusProof: new Uint8Array(64),
      payout: owner.address,
      roles: NodeRole.bootstrap,
      replaces: NONE,
    }
    return { selector: PayloadKind.register, value }
  }

  /** Of any relay rail this node knows, with a voucher that may be older than the last. */
  #redeem(node: FullInstance): Uint8Array | undefined {
    const { random, checker, genesis } = this.#world
    const { ledger } = node.manager ?? {}
    if (!ledger || ledger.rails.count === 0) return undefined
    const index = random.between(0, ledger.rails.count - 1)
    const rail = ledger.rails.get(index)
    const payer = PAYERS.map(keyNamed).find(
      ({ address }) => rail && bytesToHex(address) === bytesToHex(rail.payer),
    )
    const relay = RELAYS.map(keyNamed).find(
      ({ address }) => rail && ledger.nodeIndex(address) === rail.node,
    )
    if (!rail || !payer || !relay) return undefined
    const reservations = random.between(1, 20)
    const voucher = { rail: index, generation: rail.generation, kib: 0, reservations }
    const digest = signingDigest('voucher', genesis.chainId, voucherRoot(voucher))
    const signature = sign(digest, payer.secretKey)
    const signedFor = BigInt(reservations) * RESERVATION_PRICE
    if (signedFor > (checker.signedFor.get(index) ?? 0n)) checker.signedFor.set(index, signedFor)
    const vouchers = [{ voucher, payerKey: payer.publicKey, signature }]
    return this.#signed(node, relay, 0, {
      selector: PayloadKind.redeem,
      value: { rails: [index], vouchers, least: 0n },
    })
  }

  /** Mostly before its exit is anchored: then no node may take it, no block may hold it. */
  #release(node: FullInstance, sender: KeyPair): Uint8Array | undefined {
    const { random } = this.#world
    const { delegations } = node.manager?.ledger ?? {}
    const last = random.chance(0.1) ? 3 : (delegations?.count ?? 0) - 1
    const value = { delegation: random.between(0, Math.max(0, last)) }
    return this.#signed(node, sender, 0, { selector: PayloadKind.releaseStake, value })
  }

  #byOwner(node: FullInstance, key: KeyPair, payload: Payload): Uint8Array | undefined {
    const { ledger } = node.manager ?? {}
    const { pool } = node.entry ?? {}
    if (!ledger || !pool) return undefined
    const next = pool.nextNonce(key.address, nonceOf(ledger, key.address))
    // Sometimes a nonce that is used already, or that leaves a gap.
    const nonce = Math.max(0, next + this.#world.random.pick([0, 0, 0, 0, -1, 1]))
    return this.#signed(node, key, nonce, payload)
  }

  #signed(node: FullInstance, key: KeyPair, nonce: number, payload: Payload): Uint8Array {
    const { random, genesis } = this.#world
    const validUntil = node.height + random.between(5, 60)
    const tip = BigInt(random.between(0, 3))
    const isFree = FREE.includes(payload.selector)
    const body = {
      sender: key.publicKey,
      nonce,
      validUntil,
      maxBaseFee: 10n,
      tip: isFree ? 0n : tip,
      payload,
    }
    return encodeTransaction(signTransaction(body, genesis.chainId, key.secretKey))
  }
}
