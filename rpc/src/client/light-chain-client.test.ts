import { bytesToHex } from '@ioex/chain/bytes'
import { trustCheckpoint, type TrustedEpoch } from '@ioex/chain/light'
import { encodeTransaction, NodeRole, ReceiptKind, transactionId } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { afterEach, expect, test, vi } from 'vitest'
import {
  addresses,
  createLedgerStory,
  INVENTORY_ROOT,
  payout,
  secrets,
  transfer,
} from '../server/testing/ledger-story.ts'
import type { MemoryLedger } from '../server/testing/memory-ledger.ts'
import { type RpcServer, startRpcServer } from '../server/rpc-server.ts'
import type { ForkAlarm } from './head-follower.ts'
import { trustFromJson, trustToJson } from './epoch-trust.ts'
import { LightChainClient, type LightChainClientOptions } from './light-chain-client.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
const soon = { timeout: 30_000 }

const { params } = { params: presets.ci }
const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

async function serve(ledger: MemoryLedger, port = 0): Promise<RpcServer> {
  const server = await startRpcServer({ ledger, port })
  open.unshift(server)
  return server
}

async function follow(
  ledger: MemoryLedger,
  servers: readonly RpcServer[],
  options: Partial<LightChainClientOptions> = {},
): Promise<LightChainClient> {
  const client = new LightChainClient({
    endpoints: servers.map(({ url }) => url),
    params,
    start: trustInGenesis(ledger),
    minimumPollMs: 10,
    compareMs: 0,
    ...options,
  })
  open.unshift(client)
  await client.start()
  return client
}

function trustInGenesis(ledger: MemoryLedger): TrustedEpoch {
  const genesis = ledger.block(0)
  const trusted = genesis && trustCheckpoint(genesis, ledger.validatorSet())
  if (!trusted?.ok) throw new Error('the story has a genesis')
  return trusted.value
}

/** The same block on several ledgers of one story. */
function appendAll(ledgers: readonly MemoryLedger[], certified = true): void {
  for (const ledger of ledgers) ledger.append([], { certified })
}

test('follows certified heads, through blocks that only a later one certifies', async () => {
  const ledgers = [createLedgerStory(params), createLedgerStory(params)] as const
  const servers = await Promise.all(ledgers.map((ledger) => serve(ledger)))
  const client = await follow(ledgers[0], servers)
  const heights: number[] = []
  client.onHead(({ height }) => heights.push(height))
  const { height } = ledgers[0].status()
  expect((await client.head()).height).toBe(height)
  appendAll(ledgers, false)
  appendAll(ledgers, false)
  appendAll(ledgers)
  await expect.poll(async () => (await client.head()).height, soon).toBe(height + 3)
  expect(heights).toEqual([height + 3])
  expect((await client.head()).hash).toBe(bytesToHex(ledgers[0].status().hash))
})

test('reads records with their proofs', async () => {
  const ledger = createLedgerStory(params)
  const servers = [await serve(ledger), await serve(ledger)]
  const client = await follow(ledger, servers)
  expect((await client.account(addresses.payer))?.balance).toBe(1_000_000n)
  expect(await client.account(new Uint8Array(20))).toBeUndefined()
  const node = await client.node(addresses.peer)
  expect(node?.index).toBe(1)
  expect(node?.record).toEqual(ledger.nodeAt(1))
  expect(await client.nodeAt(7)).toBeUndefined()
  expect((await client.nodesByRole(NodeRole.bootstrap)).map(({ index }) => index)).toEqual([0])
  expect(await client.rail(0)).toEqual(ledger.railAt(0))
  expect(await client.railsOfNode(1)).toHaveLength(1)
  expect(await client.railsOfPayer(addresses.peer)).toEqual([])
  expect(await client.contract(0)).toEqual(ledger.contractAt(0))
  expect(await client.contractsOfPayer(addresses.payer)).toHaveLength(1)
  expect(await client.epoch(1)).toEqual(ledger.epoch(1))
  expect(await client.inventory(1, INVENTORY_ROOT)).toEqual(ledger.inventory(1, INVENTORY_ROOT))
  expect(await client.inventory(1, new Uint8Array(32))).toBeUndefined()
})

test('reads a list of more than one page', async () => {
  const ledger = createLedgerStory(params)
  const rail = ledger.railAt(0)
  if (!rail) throw new Error('the story has a rail')
  for (let index = 1; index < 450; index++) ledger.railRecords.set(index, rail)
  ledger.append([])
  const client = await follow(ledger, [await serve(ledger), await serve(ledger)])
  const rails = await client.railsOfNode(1)
  expect(rails.map(({ index }) => index)).toEqual([...Array.from({ length: 450 }).keys()])
})

test('a transaction is submitted, proven final with its receipts, or expires', async () => {
  const ledger = createLedgerStory(params)
  const servers = [await serve(ledger), await serve(ledger)]
  const refusal = (code: string, message: string) => new TypeError(`${code}: ${message}`)
  const client = await follow(ledger, servers, { refusal })
  expect((await client.account(addresses.payer))?.nonce).toBe(0)
  const transaction = transfer(ledger, 5n, 0)
  const id = await client.submit(transaction)
  expect(id).toBe(bytesToHex(transactionId(transaction)))
  expect(await client.submit(transaction)).toBe(id)
  const waiting = client.outcome(id, transaction.body.validUntil)
  ledger.append([payout(3n)])
  const outcome = await waiting
  expect(outcome.height).toBe(ledger.status().height)
  expect(outcome.receipts).toHaveLength(1)
  // What was read before the transfer was final is not remembered after it.
  expect((await client.account(addresses.payer))?.nonce).toBe(1)
  await expect(client.submit(transfer(ledger, 5n, 0))).rejects.toThrow('NONCE_TOO_LOW')
  const height = ledger.status().height
  const never = client.outcome('00'.repeat(32), height + 1)
  ledger.append([])
  ledger.append([])
  await expect(never).rejects.toThrow('EXPIRED')
})

test('goes on with the other node when the leading one dies, and comes back', async () => {
  const ledger = createLedgerStory(params)
  const servers = [await serve(ledger), await serve(ledger)] as const
  const client = await follow(ledger, servers, { requestTimeoutMs: 2000 })
  await servers[0].close()
  ledger.append([])
  await expect.poll(async () => (await client.head()).height, soon).toBe(ledger.status().height)
  expect((await client.account(addresses.payer))?.balance).toBe(1_000_000n)
})

test('a node with a forged history is not believed', async () => {
  const ledger = createLedgerStory(params)
  const forged = createLedgerStory(params)
  // Only one of the four validators signs the forger's blocks.
  const certify = forged.certify.bind(forged)
  forged.certify = (epoch, view, hash) => certify(epoch, view, hash, [0])
  for (let i = 0; i < 5; i++) forged.append([payout(1n)])
  ledger.append([])
  const servers = [await serve(forged), await serve(ledger)]
  const client = await follow(ledger, servers)
  expect((await client.head()).hash).toBe(bytesToHex(ledger.status().hash))
  expect(client.alarm).toBeUndefined()
})

test.each(['blocks', 'tip'] as const)(
  'a node that claims a height and shows no header there is left: follows %s',
  async (follows) => {
    const [boaster, honest] = [createLedgerStory(params), createLedgerStory(params)]
    const { status } = boaster
    boaster.status = () => ({ ...status.call(boaster), height: 1_000_000 })
    const client = await follow(honest, [await serve(boaster), await serve(honest)], { follows })
    expect((await client.head()).height).toBe(honest.status().height)
  },
)

test('two certified histories raise the alarm and stop everything', async () => {
  const ledgers = [createLedgerStory(params), createLedgerStory(params)] as const
  const servers = await Promise.all(ledgers.map((ledger) => serve(ledger)))
  const alarms: ForkAlarm[] = []
  const client = await follow(ledgers[0], servers, { onAlarm: (alarm) => alarms.push(alarm) })
  ledgers[0].append([])
  ledgers[1].append([payout(1n)])
  const height = ledgers[0].status().height
  await expect.poll(() => alarms.length, soon).toBe(1)
  expect(alarms[0]?.height).toBe(height)
  expect(alarms[0]?.ours.hash).not.toBe(alarms[0]?.theirs.hash)
  await expect(client.head()).rejects.toMatchObject({ reason: 'FORK_ALARM' })
  await expect(client.account(addresses.payer)).rejects.toMatchObject({ reason: 'FORK_ALARM' })
  await expect(client.submit(transfer(ledgers[0], 1n, 0))).rejects.toMatchObject({
    reason: 'FORK_ALARM',
  })
})

test('a record that a node forges is taken from another one, and it is not asked again', async () => {
  const [honest, forger] = [createLedgerStory(params), createLedgerStory(params)]
  const beacon = new Uint8Array(32).fill(6)
  const record = honest.epoch(1)
  if (!record) throw new Error('the story has epoch 1')
  // The forger proves what it says, but under a state that nobody certified.
  const prove = forger.prove.bind(forger)
  let asked = 0
  forger.prove = (places) => {
    asked++
    const lie = createLedgerStory(params)
    lie.epochRecords.set(1, { ...record, beacon })
    lie.append([])
    return { ...prove(places), records: lie.prove(places).records }
  }
  const client = await follow(honest, [await serve(forger), await serve(honest)])
  expect(await client.epoch(1)).toEqual(record)
  expect(asked).toBe(1)
  honest.append([])
  forger.append([])
  await expect.poll(async () => (await client.head()).height, soon).toBe(honest.status().height)
  expect(await client.epoch(1)).toEqual(record)
  expect(asked).toBe(1)
  expect(client.alarm).toBeUndefined()
})

test('a proof under another certified header raises the alarm', async () => {
  const [ours, theirs] = [createLedgerStory(params), createLedgerStory(params)]
  const servers = [await serve(ours), await serve(theirs)]
  const client = await follow(ours, servers, { compareMs: 1e9 })
  ours.append([])
  theirs.append([payout(1n)])
  const { height } = ours.status()
  await expect.poll(async () => (await client.head()).height, soon).toBe(height)
  await servers[0]?.close()
  await expect(client.account(addresses.payer)).rejects.toMatchObject({ reason: 'FORK_ALARM' })
  expect(client.alarm?.height).toBe(height)
})

test('absence is proven for accounts and indexes; for a node two nodes are asked', async () => {
  const [first, second] = [createLedgerStory(params), createLedgerStory(params)]
  const client = await follow(first, [await serve(first), await serve(second)])
  const prove = first.prove.bind(first)
  // The first node hides the peer, and the only rail.
  first.prove = (places) => {
    const shown = prove(places)
    const records = shown.records.map((each, i) =>
      places[i]?.table === 'nodes' ? undefined : each,
    )
    return { ...shown, records }
  }
  first.rails = () => ({ items: [], next: null })
  expect(await client.account(new Uint8Array(20).fill(7))).toBeUndefined()
  expect(await client.rail(99)).toBeUndefined()
  expect((await client.node(addresses.peer))?.index).toBe(1)
  expect(await client.node(new Uint8Array(20))).toBeUndefined()
  expect((await client.railsOfNode(1)).map(({ index }) => index)).toEqual([0])
})

test('a list goes on behind short pages until its cursor ends', async () => {
  const [first, second] = [createLedgerStory(params), createLedgerStory(params)]
  for (const ledger of [first, second]) {
    const rails = ledger.rails.bind(ledger)
    ledger.rails = ({ from, limit }, by) =>
      from < 5 ? { items: [], next: from + 1 } : rails({ from: 0, limit }, by)
  }
  const client = await follow(first, [await serve(first), await serve(second)])
  expect((await client.railsOfNode(1)).map(({ index }) => index)).toEqual([0])
})

test('a node whose pages do not end is left for another', async () => {
  const [endless, honest] = [createLedgerStory(params), createLedgerStory(params)]
  endless.rails = () => ({ items: [], next: 1 })
  const client = await follow(honest, [await serve(endless), await serve(honest)])
  expect((await client.railsOfNode(1)).map(({ index }) => index)).toEqual([0])
})

test('a statement is checked down to receipts and the reward tree', async () => {
  const [honest, forger] = [createLedgerStory(params), createLedgerStory(params)]
  const client = await follow(honest, [await serve(forger), await serve(honest)])
  const statement = await client.statement(addresses.peer, 1)
  expect(statement).toMatchObject({ fees: '1000', subsidy: '50', subsidyState: 'credited' })
  expect(statement.proof?.fee?.fee).toBe('1000')
  const open = await client.statement(addresses.peer, 2)
  expect(open).toMatchObject({ fees: '0', inputs: { closed: false } })
  // One node leaves the settlement out; its sums fit, but not the node's fee of the epoch.
  const receipts = forger.receipts.bind(forger)
  let asked = 0
  forger.receipts = (query) => {
    asked++
    const page = receipts(query)
    const others = page.receipts.filter(({ body }) => body.selector !== ReceiptKind.storage)
    return { ...page, receipts: others }
  }
  expect((await client.statement(addresses.peer, 1)).fees).toBe('1000')
  expect(asked).toBeGreaterThan(0)
  forger.rewardLeaves = () => []
  const again = await follow(honest, [await serve(forger), await serve(honest)])
  expect((await again.statement(addresses.peer, 1)).fees).toBe('1000')
})

test('questions of one moment go out as one', async () => {
  const ledger = createLedgerStory(params)
  const prove = ledger.prove.bind(ledger)
  const batches: number[] = []
  ledger.prove = (places) => {
    batches.push(places.length)
    return prove(places)
  }
  const client = await follow(ledger, [await serve(ledger), await serve(ledger)])
  const [account, rail, contract, epoch] = await Promise.all([
    client.account(addresses.payer),
    client.rail(0),
    client.contract(0),
    client.epoch(1),
  ])
  expect(account?.balance).toBe(1_000_000n)
  expect([rail?.live, contract?.live, epoch?.fees]).toEqual([true, true, 1000n])
  await client.rail(0)
  expect(batches).toEqual([4])
})

test('follows validators that change, and starts again from what it came to trust', async () => {
  const ledger = createLedgerStory(params)
  const server = await serve(ledger)
  const trusted: TrustedEpoch[] = []
  const options = {
    allowSingleEndpoint: true,
    onTrust: (each: TrustedEpoch) => void trusted.push(each),
  }
  const transaction = transfer(ledger, 5n, 0)
  await ledger.submit(encodeTransaction(transaction))
  const { header } = ledger.append([])
  const client = await follow(ledger, [server], options)
  ledger.changeValidators([...secrets.validators.slice(1), secrets.payer])
  for (let i = 0; i < 12 * params.epochBlocks; i++) ledger.append([])
  await expect.poll(async () => (await client.head()).height, soon).toBe(ledger.status().height)
  expect((await client.account(addresses.payer))?.balance).toBe(999_995n)
  const newest = trusted.at(-1)
  if (!newest) throw new Error('it came to trust newer epochs')
  expect(newest.epoch).toBeGreaterThan(4)
  const again = trustFromJson(JSON.parse(JSON.stringify(trustToJson(newest))), ledger.chainId)
  if (!again) throw new Error('trust is kept as text')
  expect(again).toEqual(newest)
  const second = await follow(ledger, [server], { allowSingleEndpoint: true, start: again })
  expect((await second.head()).height).toBe(ledger.status().height)
  // A block from before that trust is shown by its place in history.
  const old = await second.outcome(bytesToHex(transactionId(transaction)), header.height)
  expect(old.height).toBe(header.height)
})

test('a client that follows the tip asks for one header at a time and the ends of epochs', async () => {
  const ledger = createLedgerStory(params)
  for (let i = 0; i < 95; i++) ledger.append([])
  const server = await serve(ledger)
  const certifiedHeader = ledger.certifiedHeader.bind(ledger)
  let served = 0
  ledger.certifiedHeader = (height) => {
    served++
    return certifiedHeader(height)
  }
  const client = await follow(ledger, [server], { allowSingleEndpoint: true, follows: 'tip' })
  const { epoch } = await client.head()
  expect((await client.head()).height).toBe(ledger.status().height)
  // The end of each epoch before this one, and the newest header.
  expect(served).toBe(epoch - 1 + 1)
  for (let i = 0; i < 20; i++) ledger.append([])
  await expect.poll(async () => (await client.head()).height, soon).toBe(ledger.status().height)
  expect((await client.account(addresses.payer))?.balance).toBe(1_000_000n)
  expect(served).toBeLessThanOrEqual(epoch + 20)
})

test('one node alone is not enough unless it is allowed', async () => {
  const ledger = createLedgerStory(params)
  const server = await serve(ledger)
  await expect(follow(ledger, [server])).rejects.toThrow('at least two')
  const client = await follow(ledger, [server], { allowSingleEndpoint: true })
  expect((await client.head()).height).toBe(ledger.status().height)
})

test('after a gap it jumps to the tip instead of asking for every header', async () => {
  const ledger = createLedgerStory(params)
  const server = await serve(ledger)
  const client = await follow(ledger, [server], { allowSingleEndpoint: true })
  // The last block of an epoch always has a certificate of its own.
  for (let i = 0; i < 300; i++) {
    ledger.append([], { certified: (ledger.status().height + 1) % 5 === 0 })
  }
  ledger.append([])
  await expect.poll(async () => (await client.head()).height, soon).toBe(ledger.status().height)
})
