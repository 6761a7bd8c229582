import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, concatBytes, type Hex } from '../bytes/hex.ts'
import { headerWith } from '../consensus/testing/machine-bench.ts'
import { VoteKind } from '../types/consensus-objects.ts'
import { CompactProposalType, joinBody, shortIdIn } from './compact-codec.ts'
import { CompactProposals } from './compact-proposals.ts'
import { encodeMessage } from './message-codec.ts'
import { MemoryNetwork } from './testing/memory-transport.ts'

const SALT = new Uint8Array(16).fill(7)
const transactions = Array.from({ length: 200 }, (_, i) => new Uint8Array(166).fill(i))
const proposal = {
  header: headerWith({ epoch: 1, timeMs: 5 }),
  justification: { parent: [], skips: [] },
  leaderVote: {
    statement: { kind: VoteKind.notarize, epoch: 1, view: 1, hash: new Uint8Array(32) },
    validator: 0,
    signature: new Uint8Array(64),
  },
}
const messageOf = (body: Uint8Array) =>
  encodeMessage({ type: 'consensus', message: { type: 'proposal', proposal }, body })
const message = messageOf(joinBody(transactions))

function knownOf(list: readonly Uint8Array[]): Map<Hex, { bytes: Uint8Array }> {
  return new Map(list.map((bytes) => [bytesToHex(sha256(bytes)), { bytes }]))
}

/** A proposer and a receiver that know these transactions; what went over the wire. */
function pair(proposerKnows: readonly Uint8Array[], receiverKnows: readonly Uint8Array[]) {
  const network = new MemoryNetwork()
  const wire: { from: string; bytes: Uint8Array }[] = []
  network.filter = (from, _, bytes) => wire.push({ from, bytes }) > 0
  const end = (name: string, knows: readonly Uint8Array[]) =>
    new CompactProposals({
      transport: network.join(name),
      known: () => knownOf(knows),
      newSalt: () => SALT,
      nowMs: () => 0,
    })
  const proposer = end('proposer', proposerKnows)
  const receiver = end('receiver', receiverKnows)
  const heard: Uint8Array[] = []
  receiver.onMessage((_, bytes) => heard.push(bytes))
  return { network, proposer, receiver, heard, wire }
}

const bytesFrom = (name: string, { wire }: ReturnType<typeof pair>) =>
  wire.filter(({ from }) => from === name).reduce((sum, { bytes }) => sum + bytes.length, 0)

test('a proposal travels without the transactions that its receiver has, and arrives whole', async () => {
  const both = pair(transactions, transactions)
  both.proposer.broadcast(message)
  await expect.poll(() => both.heard).toEqual([message])
  expect(both.wire).toHaveLength(1)
  expect(bytesFrom('proposer', both)).toBeLessThan(message.length / 10)
})

test('what was never announced comes along, what the receiver lacks is asked for once', async () => {
  const [head, tail] = [transactions.slice(0, 190), transactions.slice(10)]
  const both = pair(head, tail)
  both.proposer.broadcast(message)
  await expect.poll(() => both.heard).toEqual([message])
  // Proposal, request, pieces.
  expect(both.wire.map(({ from }) => from)).toEqual(['proposer', 'receiver', 'proposer'])
  expect(bytesFrom('proposer', both)).toBeLessThan(message.length / 4)
})

test('a receiver that has nothing gets everything with the second message', async () => {
  const both = pair(transactions, [])
  both.proposer.broadcast(message)
  await expect.poll(() => both.heard).toEqual([message])
})

test('small bodies and other messages go out as they are', async () => {
  const both = pair(transactions, transactions)
  const small = messageOf(joinBody(transactions.slice(0, 3)))
  const vote = encodeMessage({
    type: 'consensus',
    message: { type: 'vote', vote: proposal.leaderVote },
    body: new Uint8Array(0),
  })
  both.proposer.broadcast(small)
  both.proposer.broadcast(vote)
  both.proposer.send('receiver', message)
  await expect.poll(() => both.heard).toEqual([small, vote, message])
})

/** A compact proposal as a liar makes it. */
function forged(fields: Partial<Parameters<typeof CompactProposalType.serialize>[0]>) {
  const compact = {
    digest: sha256(message),
    salt: SALT,
    ...proposal,
    ids: [],
    whole: [],
    ...fields,
  }
  return concatBytes(Uint8Array.of(16), CompactProposalType.serialize(compact))
}

test('where the ids lead to other transactions all are asked for, once', async () => {
  const both = pair([], transactions)
  const ids = transactions.map(() => shortIdIn(SALT, sha256(transactions[0] as Uint8Array)))
  both.proposer.send('receiver', forged({ ids }))
  await expect.poll(() => both.wire.length).toBe(2)
  both.proposer.send('receiver', forged({ digest: new Uint8Array(32), ids }))
  // Asked for each of them; the proposer has sent no such message and keeps silent.
  await expect
    .poll(() => both.wire.map(({ from }) => from))
    .toEqual(['proposer', 'receiver', 'proposer', 'receiver'])
  expect(both.heard).toEqual([])
})

test('places with gaps, nonsense and more than a peer may send lead to nothing', async () => {
  const both = pair([], transactions)
  const [transaction] = transactions as [Uint8Array]
  both.proposer.send('receiver', forged({ whole: [{ index: 5, transaction }] }))
  both.proposer.send('receiver', Uint8Array.of(16, 1, 2, 3))
  both.proposer.send('receiver', Uint8Array.of(17))
  both.proposer.send('receiver', Uint8Array.of(18, 255))
  for (let i = 0; i < 20; i++) {
    both.proposer.send('receiver', forged({ ids: [new Uint8Array(8).fill(i)] }))
  }
  const last = Uint8Array.of(99)
  both.proposer.send('receiver', last)
  await expect.poll(() => both.heard).toEqual([last])
  expect(both.wire.filter(({ from }) => from === 'receiver')).toHaveLength(6)
})

test('an id that is named a thousand times for a large transaction is not put together', async () => {
  const large = new Uint8Array(400_000).fill(1)
  const both = pair([], [large])
  const id = shortIdIn(SALT, sha256(large))
  both.proposer.send('receiver', forged({ ids: Array.from({ length: 1000 }, () => id) }))
  await expect.poll(() => both.wire.length).toBe(2)
  expect(both.heard).toEqual([])
})

test('pieces are given to each peer twice at most, none twice in an answer', async () => {
  const both = pair(transactions, [])
  both.proposer.broadcast(message)
  await expect.poll(() => both.heard).toEqual([message])
  const request = both.wire[1]?.bytes as Uint8Array
  for (let i = 0; i < 5; i++) both.receiver.send('proposer', request)
  both.receiver.send('proposer', Uint8Array.of(99))
  const answers = () => both.wire.filter(({ bytes }) => bytes[0] === 18)
  await expect.poll(() => answers().length).toBe(2)
})

test('no bytes of a peer make it throw, and what is put together is what was sent', async () => {
  const both = pair(transactions, transactions)
  both.proposer.broadcast(message)
  await expect.poll(() => both.heard).toEqual([message])
  const sent = { bytes: both.wire[0]?.bytes as Uint8Array }
  const told = both.heard.length
  const place = fc.nat(sent.bytes.length - 1)
  const changed = fc
    .tuple(place, fc.integer({ min: 1, max: 255 }))
    .map(([at, mask]) => sent.bytes.map((byte, i) => (i === at ? byte ^ mask : byte)))
  const random = fc
    .tuple(fc.constantFrom(16, 17, 18), fc.uint8Array({ maxLength: 300 }))
    .map(([kind, rest]) => Uint8Array.of(kind, ...rest))
  let nowMs = 0
  const receiver = new CompactProposals({
    transport: both.network.join('other'),
    known: () => knownOf(transactions),
    newSalt: () => SALT,
    nowMs: () => (nowMs += 1000),
  })
  receiver.onMessage((_, bytes) => both.heard.push(bytes))
  fc.assert(
    fc.property(fc.oneof(changed, random), (bytes) => {
      both.network.receive('other', 'proposer', bytes)
      for (const heard of both.heard.slice(told)) {
        if (heard[0] === 1) expect(heard).toEqual(message)
      }
    }),
    { numRuns: Number(process.env.IOEX_FUZZ_RUNS ?? 300) },
  )
})

/** A receiver whose known transactions are counted each time they are gone through. */
function crowd(strangers: number) {
  const network = new MemoryNetwork()
  let compared = 0
  const receiver = new CompactProposals({
    transport: network.join('receiver'),
    known: () => {
      compared += 1
      return knownOf(transactions)
    },
    newSalt: () => SALT,
    nowMs: () => 0,
  })
  const heard: Uint8Array[] = []
  receiver.onMessage((_, bytes) => heard.push(bytes))
  const names = Array.from({ length: strangers }, (_, i) => `stranger ${i}`)
  const others = names.map((name) => network.join(name))
  for (const other of others) other.onMessage(() => undefined)
  return { network, receiver, heard, others, compared: () => compared }
}

test('a crowd makes a node go through what it knows eight times a second; the honest are asked for all', async () => {
  const { network, heard, others, compared } = crowd(100)
  const ids = transactions.map((each) => shortIdIn(SALT, sha256(each)))
  let asked = 0
  for (const stranger of others) stranger.onMessage(() => (asked += 1))
  for (const [i, stranger] of others.entries()) {
    stranger.send('receiver', forged({ digest: new Uint8Array(32).fill(i), ids }))
  }
  await expect.poll(() => asked).toBe(100)
  expect(compared()).toBe(8)
  const proposer = new CompactProposals({
    transport: network.join('proposer'),
    known: () => knownOf(transactions),
    newSalt: () => SALT,
    nowMs: () => 0,
  })
  proposer.broadcast(message)
  await expect.poll(() => heard).toEqual([message])
  expect(compared()).toBe(8)
})

test('what waits for pieces is bounded in all, whoever sends it', async () => {
  const { receiver, others } = crowd(100)
  const whole = Array.from({ length: 15 }, (_, index) => ({
    index,
    transaction: new Uint8Array(64 * 1024),
  }))
  for (const [i, stranger] of others.entries()) {
    const fields = { whole, ids: [new Uint8Array(8)] }
    stranger.send('receiver', forged({ ...fields, digest: new Uint8Array(32).fill(i) }))
  }
  const bytes = () => receiver.sizes().bytes
  await expect.poll(bytes).toBeGreaterThan(60 * 1024 * 1024)
  expect(bytes()).toBeLessThanOrEqual(64 * 1024 * 1024)
})
