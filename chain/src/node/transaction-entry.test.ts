import { pino } from 'pino'
import { beforeAll, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { GossipVerdict } from '../net/transaction-relay.ts'
import { PEER_TRANSACTIONS_PER_SECOND } from '../pool/pool-limits.ts'
import { keyOf, SampleChain, UNITS } from '../rules/testing/sample-chain.ts'
import { encodeTransaction, transactionId, transactionRoot } from '../types/transaction-codec.ts'
import type { Payload, Transaction } from '../types/transactions.ts'
import { TransactionEntry } from './transaction-entry.ts'

const names = ['alice', 'bob', 'carol', 'dave']
const logger = pino({ level: 'silent' })

beforeAll(async () => {
  await installNativeCrypto()
})

function setUp() {
  const balances = Object.fromEntries(names.map((name) => [name, 100n * UNITS]))
  const chain = new SampleChain({ balances })
  let handler: (peer: string, batch: Uint8Array) => GossipVerdict = () => 'ignore'
  const disconnected: string[] = []
  const network = {
    onTransaction: (given: typeof handler) => void (handler = given),
    publishTransaction: () => undefined,
    disconnect: (peer: string) => void disconnected.push(peer),
  } as unknown as FullNodeNetwork
  const entry = new TransactionEntry({ ledger: chain.ledger, network, logger, nowMs: () => 0 })
  /** The verdict over the last of them. */
  const gossip = (peer: string, transactions: readonly Transaction[]) =>
    transactions.map((each) => handler(peer, encodeTransaction(each))).at(-1)
  return { chain, entry, gossip, disconnected, raw: (bytes: Uint8Array) => handler('p', bytes) }
}

const pay = (to: string, amount = 1n): Payload => ({
  selector: 0,
  value: { to: keyOf(to).address, amount },
})

function transfers(chain: SampleChain, name: string, count: number): Transaction[] {
  return Array.from({ length: count }, (_, nonce) =>
    chain.byOwner(keyOf(name), pay('eve'), { nonce }),
  )
}

const forge = (transaction: Transaction): Transaction => ({
  ...transaction,
  signature: new Uint8Array(64).fill(7),
})

describe('the entry of transactions', () => {
  test('what it hands a proposer executes, with nothing left over', async () => {
    const { chain, entry } = setUp()
    const burst = [...transfers(chain, 'alice', 20), ...transfers(chain, 'bob', 3)]
    for (const transaction of burst) {
      const submitted = await entry.submit(encodeTransaction(transaction))
      expect(submitted).toEqual({ ok: true, value: transactionId(transaction) })
      expect(entry.isVerified(bytesToHex(transactionRoot(transaction)))).toBe(true)
    }
    // Sent again after a lost answer.
    const [first] = burst as [Transaction]
    expect((await entry.submit(encodeTransaction(first))).ok).toBe(true)
    const taken = [...entry.waiting(chain.ledger)]
    expect(taken).toHaveLength(23)
    chain.block(taken.slice(0, 10))
    entry.afterBlock({ header: { height: 1 }, transactions: taken.slice(0, 10) } as never)
    const rest = [...entry.waiting(chain.ledger)]
    expect(rest).toEqual(taken.slice(10))
    chain.block(rest)
    entry.afterBlock({ header: { height: 2 }, transactions: rest } as never)
    expect(entry.pool.size).toBe(0)
  })

  test('a transaction is tried after the sender’s own, by its rule, whatever came between', async () => {
    const { chain, entry } = setUp()
    const submit = async (transaction: Transaction) => {
      const submitted = await entry.submit(encodeTransaction(transaction))
      return submitted.ok ? 'ok' : submitted.fault.code
    }
    const [alice, bob] = [keyOf('alice'), keyOf('bob')]
    expect(await submit(chain.byOwner(alice, pay('bob', 60n * UNITS)))).toBe('ok')
    expect(await submit(chain.byOwner(alice, pay('bob', 60n * UNITS), { nonce: 1 }))).toBe(
      'INSUFFICIENT_FUNDS',
    )
    expect(await submit(chain.byOwner(bob, pay('alice', 1n)))).toBe('ok')
    expect(await submit(chain.byOwner(alice, pay('eve', 0n), { nonce: 1 }))).toBe('AMOUNT_ZERO')
    expect(await submit(chain.byOwner(alice, pay('eve'), { nonce: 1 }))).toBe('ok')
    const dearer = { maxBaseFee: 20n, tip: 1n }
    expect(await submit(chain.byOwner(alice, pay('bob', 50n * UNITS), dearer))).toBe('ok')
    expect([...entry.waiting(chain.ledger)]).toHaveLength(3)
    chain.block([...entry.waiting(chain.ledger)])
  })

  test('passes on what is good, keeps what is known, refuses what is forged', () => {
    const { chain, entry, gossip, raw } = setUp()
    const good = transfers(chain, 'alice', 2)
    expect(gossip('peer', good)).toBe('accept')
    expect(gossip('peer', good)).toBe('ignore')
    expect(gossip('peer', transfers(chain, 'carol', 1).map(forge))).toBe('reject')
    expect(raw(Uint8Array.of(1, 2, 3))).toBe('reject')
    expect(entry.pool.size).toBe(2)
  })

  test('lets a peer go after twenty forged ones, and no other', () => {
    const { chain, gossip, disconnected } = setUp()
    const [forged] = transfers(chain, 'bob', 1).map(forge) as [Transaction]
    for (let i = 0; i < 20; i++) gossip('liar', [forged])
    expect(disconnected).toEqual([])
    gossip('honest', [forged])
    gossip('liar', [forged])
    expect(disconnected).toEqual(['liar'])
  })

  test('looks at so many transactions of a peer and leaves the rest', () => {
    const { chain, entry, gossip } = setUp()
    const many = names.flatMap((name) => transfers(chain, name, 64))
    gossip('loud', many)
    expect(entry.pool.size).toBe(PEER_TRANSACTIONS_PER_SECOND)
    const next = many.slice(PEER_TRANSACTIONS_PER_SECOND)
    expect(gossip('loud', next)).toBe('ignore')
    expect(gossip('quiet', next)).toBe('accept')
    expect(entry.pool.size).toBe(many.length)
  })
})
