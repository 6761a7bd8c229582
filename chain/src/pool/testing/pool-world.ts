import { bytesToHex, type Hex } from '../../bytes/hex.ts'
import { fault, ok, type Result } from '../../bytes/result.ts'
import { addressOf } from '../../bytes/signature.ts'
import { ZERO_SIGNATURE } from '../../types/primitives.ts'
import { transactionId } from '../../types/transaction-codec.ts'
import { type Payload, PayloadKind, type Transaction } from '../../types/transactions.ts'
import type { PoolLimits } from '../pool-limits.ts'
import type { PoolView } from '../pool-view.ts'
import { TransactionPool } from '../transaction-pool.ts'

export const key = (seed: number) => new Uint8Array(33).fill(seed).fill(2, 0, 1)

const transfer: Payload = {
  selector: PayloadKind.transfer,
  value: { to: new Uint8Array(20), amount: 0n },
}

export function transaction(change: Partial<Transaction['body']>): Transaction {
  const body = {
    sender: key(1),
    nonce: 0,
    validUntil: 30,
    maxBaseFee: 1n,
    tip: 0n,
    payload: transfer,
    ...change,
  }
  return { body, signature: ZERO_SIGNATURE }
}

interface HeldAccount {
  nonce: number
  balance: bigint
}

/** A pool over a ledger of plain numbers. */
export class PoolWorld {
  height = 0
  epoch = 0
  baseFee = 1n
  nowMs = 0
  isSigned = true
  /** Ids that a trial refuses. */
  refuse: (id: Hex) => boolean = () => false
  verdict: (() => Result<unknown>) | undefined
  /** Transactions that a trial refuses. */
  verdictOf: (tx: Transaction) => boolean = () => false
  /** What was asked of the rules, in order. */
  asked: ('signature' | 'trial')[] = []
  /** By address; one that is not here has nonce 0 and no money. */
  readonly accounts = new Map<Hex, HeldAccount>()
  readonly pool: TransactionPool
  /** By the seed of the key. */
  readonly #names = new Map<number, Hex>()

  constructor(limits?: PoolLimits) {
    for (let seed = 1; seed <= 8; seed++) {
      this.accounts.set(this.nameOf(key(seed)), { nonce: 0, balance: 10n ** 9n })
    }
    const rules = {
      view: () => this.view(),
      isSigned: () => {
        this.asked.push('signature')
        return this.isSigned
      },
      trial: ({ id, transaction: tried }: { id: Hex; transaction: Transaction }) => {
        this.asked.push('trial')
        if (this.verdict) return this.verdict()
        return this.refuse(id) || this.verdictOf(tried)
          ? fault('REFUSED', 'the rule says no')
          : ok()
      },
      nowMs: () => this.nowMs,
    }
    this.pool = new TransactionPool(rules, limits)
  }

  nameOf(publicKey: Uint8Array): Hex {
    const known = this.#names.get(publicKey[1] ?? 0)
    if (known) return known
    const name = bytesToHex(addressOf(publicKey))
    this.#names.set(publicKey[1] ?? 0, name)
    return name
  }

  idOf(tx: Transaction): Hex {
    return bytesToHex(transactionId(tx))
  }

  view(): PoolView {
    const { height, epoch, baseFee } = this
    const of = (address: Uint8Array) => this.accounts.get(bytesToHex(address))
    return {
      height,
      epoch,
      baseFee,
      nonceOf: (address) => of(address)?.nonce ?? 0,
      balanceOf: (address) => of(address)?.balance ?? 0n,
    }
  }

  /** 'ok' or the fault's code; every transaction counts 200 bytes. */
  add(tx: Transaction): string {
    const added = this.pool.add(this.idOf(tx), tx, 200)
    return added.ok ? 'ok' : added.fault.code
  }

  /** Ids that a block on this ledger is handed. */
  handed(): Hex[] {
    return [...this.pool.best(this.view())].map((tx) => this.idOf(tx))
  }

  /** A final block with these, which count a nonce each. */
  include(...included: Transaction[]): void {
    for (const { body } of included) {
      const account = this.accounts.get(this.nameOf(body.sender))
      if (account) account.nonce = Math.max(account.nonce, body.nonce + 1)
    }
    this.pool.afterBlock(included.map((tx) => ({ id: this.idOf(tx), sender: tx.body.sender })))
  }
}
