import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesToHex, checkListProof, formatAddress } from '@ioex/chain/bytes'
import { encodeTransaction, ReceiptType, transactionId, TransactionType } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createRpcClient, type RpcClient } from '../client/rpc-client.ts'
import { type MethodName, methodNames, type ParamsOf, type ResultOf } from '../contract/methods.ts'
import {
  addresses,
  createLedgerStory,
  INVENTORY_ROOT,
  payout,
  secrets,
  transfer,
} from './testing/ledger-story.ts'
import type { MemoryLedger } from './testing/memory-ledger.ts'
import { type RpcServer, startRpcServer } from './rpc-server.ts'
import type { StorageBackend } from './storage-backend.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
const soon = { timeout: 30_000 }

let folder: string
let ledger: MemoryLedger
let server: RpcServer
let client: RpcClient
const tested = new Set<MethodName>()

const text = (address: Uint8Array) => formatAddress(address, presets.ci.addressPrefix)

function call<M extends MethodName>(method: M, params: ParamsOf<M>): Promise<ResultOf<M>> {
  tested.add(method)
  return client.call(method, params)
}

/** Keeps names and sizes; enough to see that the calls arrive. */
function createMemoryStorage(): StorageBackend {
  const files = new Map<string, ResultOf<'storage_status'>>()
  return {
    async put({ path, name = path }) {
      const sizes = { bytes: 3, bytesDone: 0, k: 1, n: 2, liveSlots: 0 }
      const state = { state: 'uploading', contracts: [], storedEpoch: null, error: null } as const
      const file = { name, ...sizes, ...state, contracts: [] }
      files.set(name, file)
      return file
    },
    get: async ({ name, path }) => ({ name, path, bytes: files.get(name)?.bytes ?? 0 }),
    list: async () => ({ files: [...files.values()] }),
    status: async (name) => files.get(name),
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-rpc-'))
  ledger = createLedgerStory(presets.ci)
  const tokenFile = join(folder, 'rpc-token')
  const storage = createMemoryStorage()
  server = await startRpcServer({
    ledger,
    storage,
    ownerKey: secrets.payer,
    port: 0,
    tokenFile,
    healthPort: 0,
  })
  const token = (await readFile(tokenFile, 'utf8')).trim()
  client = createRpcClient({ url: server.url, token })
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

test('the token file is for its owner only', async () => {
  expect((await stat(join(folder, 'rpc-token'))).mode & 0o777).toBe(0o600)
})

test('status, parameters, genesis, supply, validators, epoch', async () => {
  const { height } = ledger.status()
  const status = await call('chain_getStatus', {})
  expect(status).toMatchObject({ network: 'ci', height, epoch: 2, peers: 3, syncing: false })
  expect(status.chainId).toBe(bytesToHex(ledger.chainId))
  const params = await call('chain_getParams', {})
  expect(params).toMatchObject({ epochBlocks: 10, phi: 1000, emissionCapUnits: '1000000000000' })
  expect((await call('chain_getGenesis', {})).genesis).toBe(ledger.genesis)
  const supply = await call('chain_getSupply', {})
  expect(supply).toMatchObject({ genesis: '1000000', circulating: '1000000', height })
  await expect(client.call('chain_getSupply', { height: 1 })).rejects.toMatchObject({
    reason: 'UNAVAILABLE',
  })
  const { validators, quorum, totalPower } = await call('chain_getValidators', {})
  expect([validators.length, totalPower, quorum]).toEqual([4, 4, 3])
  const epoch = await call('chain_getEpoch', { epoch: 1 })
  expect(epoch.record).toMatchObject({ fees: '1000', beaconHeight: 3 })
  await expect(client.call('chain_getEpoch', { epoch: 9 })).rejects.toMatchObject({
    reason: 'NOT_FOUND',
    number: -32001,
  })
})

test('blocks by height, by hash, newest; readable and raw', async () => {
  const block = await call('chain_getBlock', { height: 1, full: true })
  expect(block.receipts[0]).toMatchObject({ type: 'storage', height: 1, body: { fee: '1000' } })
  expect(block.certificate).toMatchObject({ kind: 3, view: 1, signers: [0, 1, 2, 3] })
  const same = await client.call('chain_getBlock', { hash: block.hash })
  expect(same.height).toBe(1)
  expect(same.receipts[0]).toMatch(/^[0-9a-f]{64}$/)
  expect((await client.call('chain_getBlock', {})).height).toBe(ledger.status().height)
  const raw = await call('chain_getRawBlocks', { from: 0, to: 2 })
  expect(raw.blocks.map(({ height }) => height)).toEqual([0, 1, 2])
  expect(raw.blocks[0]).toMatchObject({ justification: null, certificate: null })
  expect(raw.blocks[1]?.header).toBe(block.ssz.header)
  expect(raw.next).toBeNull()
})

test('certified headers: a range, and a wait for the next block', async () => {
  const { height } = ledger.status()
  const { headers } = await call('chain_getCertifiedHeaders', { from: 1, to: 1000 })
  expect(headers).toHaveLength(Math.min(64, height))
  expect(headers[0]?.certificate).toMatch(/^[0-9a-f]+$/)
  const next = client.call('chain_getCertifiedHeaders', {
    from: height + 1,
    to: height + 1,
    waitMs: 20_000,
  })
  ledger.append([])
  expect((await next).headers.map((each) => each.height)).toEqual([height + 1])
})

test('a transaction: sent, pending, waited for, final and proven', async () => {
  const { nonce } = await call('chain_getNonce', { address: text(addresses.payer) })
  const transaction = transfer(ledger, 250n, nonce)
  const bytes = bytesToHex(encodeTransaction(transaction))
  const { id } = await call('chain_sendTransaction', { transaction: bytes })
  expect(id).toBe(bytesToHex(transactionId(transaction)))
  expect(await client.call('chain_getTransaction', { id })).toMatchObject({ state: 'pending' })
  const waiting = call('chain_waitTransaction', { id, timeoutMs: 20_000, prove: true })
  ledger.append([])
  const status = await waiting
  expect(status).toMatchObject({ id, state: 'final', height: ledger.status().height, index: 0 })
  expect(status.ssz).toBe(bytes)
  const [proof, receiptProof] = [status.proof, status.receiptProofs?.[0]]
  for (const [each, limit] of [[proof, 16_384] as const, [receiptProof, 65_536] as const]) {
    if (!each) throw new Error('a proof is missing')
    const branch = each.branch.map((hash) => Buffer.from(hash, 'hex'))
    const leaf = Buffer.from(each.leaf, 'hex')
    const root = Buffer.from(each.root, 'hex')
    expect(checkListProof({ ...each, branch, leaf, root }, limit).ok).toBe(true)
  }
  expect(bytesToHex(TransactionType.hashTreeRoot(transaction))).toBe(proof?.leaf)
  expect(await call('chain_getTransaction', { id })).toMatchObject({ state: 'final' })
  const unknown = { id: '00'.repeat(32), timeoutMs: 0 }
  expect(await client.call('chain_waitTransaction', unknown)).toMatchObject({ state: 'unknown' })
})

test('accounts: balances, an unused address; records, epochs and old headers with proofs', async () => {
  const peer = await call('chain_getAccount', { address: text(addresses.peer) })
  expect(peer).toMatchObject({ balance: '250', exists: true, nonce: 0 })
  const unused = await client.call('chain_getAccount', { address: text(new Uint8Array(20)) })
  expect(unused).toMatchObject({ balance: '0', exists: false, ssz: null })
  const records = [{ table: 'accounts' as const, address: text(addresses.peer) }]
  const shown = await call('chain_getRecords', { records })
  expect(shown).toMatchObject({ height: ledger.status().height, records: [{ table: 'accounts' }] })
  const { proofs } = await call('chain_getEpochProofs', { from: 1, to: 9 })
  expect(proofs).toHaveLength(1)
  const { branch } = await call('chain_getHeaderProof', { height: 3 })
  expect(branch).toHaveLength(33)
})

test('nodes, rails and contracts', async () => {
  const all = await call('nodes_list', { limit: 1 })
  expect(all.next).toBe('1')
  const rest = await client.call('nodes_list', { limit: 5, cursor: '1' })
  expect(rest.nodes[0]).toMatchObject({ index: 1, held: '400', provenEpochs: 1, bytes: 65_536 })
  expect(rest.nodes[0]?.offers).toEqual(['storage'])
  expect((await client.call('nodes_list', { role: 'bootstrap' })).nodes).toHaveLength(1)
  const node = await call('nodes_get', { id: text(addresses.peer) })
  expect(node.index).toBe(1)
  expect((await client.call('nodes_get', { id: 1 })).ssz).toBe(node.ssz)
  const inventory = { node: 1, root: bytesToHex(INVENTORY_ROOT) }
  expect(await call('nodes_getInventory', inventory)).toMatchObject({
    count: 1,
    entries: [{ rail: 0, generation: 0, weight: '12345' }],
    next: null,
  })
  expect((await call('rails_list', { node: text(addresses.peer) })).rails).toHaveLength(1)
  expect((await client.call('rails_list', { payer: text(addresses.peer) })).rails).toEqual([])
  expect(await call('rails_get', { id: 0 })).toMatchObject({
    kind: 'storage',
    lock: { time: '25600' },
    end: 100,
  })
  expect((await call('contracts_list', {})).contracts).toHaveLength(1)
  expect(await call('contracts_get', { id: 0 })).toMatchObject({
    k: 1,
    n: 2,
    rails: [0],
    slots: [
      { slot: 0, rail: 0 },
      { slot: 1, rail: null },
    ],
  })
  expect(await call('contracts_health', { id: 0 })).toMatchObject({
    health: 'act-now',
    live: 1,
    slots: [{ state: 'proven', proof: { epoch: 1, passed: true } }, { state: 'empty' }],
  })
})

test('contracts_open: with the token, by the owner, final when it answers', async () => {
  const terms = {
    dataShards: 2,
    totalShards: 3,
    slotBytes: 65_536,
    priceCap: '100000000',
    unitPriceCap: '0',
    termEpochs: 9,
  }
  const opening = call('contracts_open', terms)
  const arrived = async () => {
    const { nonce } = await client.call('chain_getNonce', { address: text(addresses.payer) })
    const { nonce: known } = await client.call('chain_getAccount', {
      address: text(addresses.payer),
    })
    expect(nonce).toBe(known + 1)
  }
  await vi.waitFor(arrived, soon)
  ledger.append([])
  const opened = await opening
  expect(opened).toMatchObject({
    contract: { index: 1, k: 2, n: 3, payer: text(addresses.payer) },
    height: ledger.status().height,
  })
  const stranger = createRpcClient({ url: server.url })
  await expect(stranger.call('contracts_open', terms)).rejects.toMatchObject({
    reason: 'UNAUTHORIZED',
  })
  const odd = client.call('contracts_open', { ...terms, slotBytes: 257 })
  await expect(odd).rejects.toMatchObject({ reason: 'INVALID_INPUT' })
  ledger.contractRecords.delete(1)
})

test('a forfeit explained: seed, draws, heights and the leaves that were due', async () => {
  const node = text(addresses.peer)
  const { receipts } = await client.call('receipts_list', { node, type: 'forfeit' })
  const id = receipts[0]?.id ?? ''
  const { explanation } = await call('receipts_get', { id, explain: true })
  expect(explanation).toMatchObject({ kind: 'forfeit', forfeits: [{ node, epoch: 1, strikes: 1 }] })
  const storage = await client.call('receipts_list', { node, type: 'storage' })
  const plain = { id: storage.receipts[0]?.id ?? '', explain: true }
  expect((await client.call('receipts_get', plain)).explanation).toBeNull()
})

test('health right after an eviction: act-now, whatever was safe before', async () => {
  const contract = ledger.contractRecords.get(0)
  const node = ledger.nodeRecords.get(1)
  if (!contract || !node) throw new Error('the story has a contract')
  const slots = [0, 1, 2, 3].map((rail) => ({ ...contract.rails[0], rail: Math.min(rail, 0) }))
  ledger.contractRecords.set(0, { ...contract, n: 4, rails: slots as typeof contract.rails })
  expect(await client.call('contracts_health', { id: 0 })).toMatchObject({
    health: 'safe',
    live: 4,
  })
  ledger.nodeRecords.set(1, { ...node, evicted: true })
  expect(await client.call('contracts_health', { id: 0 })).toMatchObject({
    health: 'act-now',
    live: 0,
    slots: [{ state: 'evicted' }, { state: 'evicted' }, { state: 'evicted' }, { state: 'evicted' }],
  })
  ledger.nodeRecords.set(1, node)
  ledger.contractRecords.set(0, contract)
})

test('contracts with open slots: a notice, a node evicted by proofs that nobody counted yet', async () => {
  const contract = ledger.contractRecords.get(0)
  const rail = ledger.railRecords.get(0)
  const node = ledger.nodeRecords.get(1)
  const record = ledger.epochRecords.get(1)
  if (!contract || !rail || !node || !record) throw new Error('the story has a contract')
  const open = async () => {
    const { contracts, proof } = await client.call('contracts_list', { open: true, prove: true })
    expect(proof?.records).toHaveLength(contracts.length)
    return contracts.map(({ index }) => index)
  }
  ledger.contractRecords.set(0, { ...contract, active: true })
  expect(await open()).toEqual([])
  ledger.railRecords.set(0, { ...rail, left: true })
  expect(await open()).toEqual([0])
  ledger.contractRecords.set(0, { ...contract, active: true, askEpoch: 1 })
  expect(await open()).toEqual([])
  ledger.contractRecords.set(0, { ...contract, active: true })
  ledger.railRecords.set(0, rail)
  // What was judged at a height holds for it.
  ledger.append([])
  const { proofWindowEpochs, strikesToEvict } = ledger.params
  const seen = ledger.status().epoch - proofWindowEpochs
  ledger.epochRecords.set(seen, { ...record, beaconHeight: 3, q2: 2n ** 64n - 1n })
  ledger.nodeRecords.set(1, { ...node, inventorySum: 9n, seen, strikes: strikesToEvict - 1 })
  expect(await open()).toEqual([0])
  ledger.epochRecords.delete(seen)
  ledger.epochRecords.set(1, record)
  ledger.nodeRecords.set(1, node)
  ledger.contractRecords.set(0, contract)
})

test('health counts challenges that nobody has touched the node for', async () => {
  const node = ledger.nodeRecords.get(1)
  const record = ledger.epochRecords.get(1)
  if (!node || !record) throw new Error('the story has a peer and an epoch')
  const { epoch } = ledger.status()
  const { proofWindowEpochs, strikesToEvict } = ledger.params
  const slotAt = async (challenged: number, strikes: number) => {
    const seen = epoch - challenged
    ledger.epochRecords.set(seen, { ...record, beaconHeight: 3, q2: 2n ** 64n - 1n })
    ledger.nodeRecords.set(1, { ...node, inventorySum: 9n, seen, strikes })
    const { slots } = await client.call('contracts_health', { id: 0 })
    ledger.epochRecords.delete(seen)
    return slots[0]
  }
  expect(await slotAt(proofWindowEpochs - 1, 0)).toMatchObject({ state: 'proven', strikes: 0 })
  const lapsed = { epoch: epoch - proofWindowEpochs, passed: false }
  const missed = { state: 'missed', strikes: 1, proof: lapsed }
  expect(await slotAt(proofWindowEpochs, 0)).toMatchObject(missed)
  const last = await slotAt(proofWindowEpochs, strikesToEvict - 1)
  expect(last).toMatchObject({ state: 'evicted', strikes: strikesToEvict })
  ledger.nodeRecords.set(1, node)
  ledger.epochRecords.set(1, record)
})

test('receipts: by node, type and epoch; page by page; one with proof', async () => {
  const node = text(addresses.peer)
  const { receipts } = await call('receipts_list', { node })
  expect(receipts.map(({ type }) => type)).toEqual(['storage', 'forfeit', 'reward'])
  const first = await client.call('receipts_list', { node: 1, limit: 2 })
  expect(first.next).not.toBeNull()
  const second = await client.call('receipts_list', { node, limit: 2, cursor: first.next ?? '' })
  expect(second.receipts.map(({ type }) => type)).toEqual(['reward'])
  const none = await client.call('receipts_list', { node, type: 'storage', fromEpoch: 2 })
  expect(none).toEqual({ receipts: [], next: null })
  const id = receipts[0]?.id ?? ''
  const { receipt, proof } = await call('receipts_get', { id, prove: true })
  expect(receipt.id).toBe(id)
  expect(proof?.field).toBe('receiptRoot')
  const bytes = ReceiptType.deserialize(Buffer.from(receipt.ssz, 'hex'))
  expect(bytesToHex(ReceiptType.hashTreeRoot(bytes))).toBe(proof?.leaf)
})

test('receipts: a page may be empty before the end; no call reads on for ever', async () => {
  const next = { height: 3, index: 1 }
  const receipts = vi.spyOn(ledger, 'receipts').mockReturnValue({ receipts: [], next })
  onTestFinished(() => receipts.mockRestore())
  const page = await client.call('receipts_list', { type: 'storage' })
  expect(page).toEqual({ receipts: [], next: '3:1' })
  await client.call('receipts_list', { type: 'storage', cursor: '3:1' })
  expect(receipts).toHaveBeenLastCalledWith(expect.objectContaining({ from: next }))
  receipts.mockClear()
  await expect(client.call('anchor_get', { epoch: 1 })).rejects.toMatchObject({
    reason: 'LIMIT_EXCEEDED',
  })
  expect(receipts.mock.calls.length).toBeLessThanOrEqual(100)
})

test('rewards: a statement, its subsidy by source epoch, sums', async () => {
  const node = text(addresses.peer)
  const statement = await call('rewards_getStatement', { node, epoch: 1 })
  expect(statement).toMatchObject({
    fees: '1000',
    burned: '100',
    toValidators: '50',
    net: '850',
    held: '425',
    paid: '0',
    subsidy: '50',
    subsidyState: 'credited',
    forfeits: 1,
    inputs: { phi: 1000, epochFees: '1000', emission: '50', closed: true },
  })
  expect(statement.receipts.map(({ type }) => type)).toEqual(['storage', 'forfeit', 'reward'])
  ledger.append([payout(415n)])
  const summary = await call('rewards_getSummary', { node, fromEpoch: 0, toEpoch: 5 })
  expect(summary.epochs.map(({ epoch }) => epoch)).toEqual([1, ledger.status().epoch])
  expect(summary.totals).toMatchObject({ fees: '1000', paid: '415', byteFees: '10' })
  expect(await call('rewards_getEpoch', { epoch: 1 })).toMatchObject({
    minted: '50',
    burned: '100',
    closed: true,
    totals: { fees: '1000' },
  })
})

test('anchors: status, list, one with nothing to prove it by', async () => {
  expect(await call('anchor_getStatus', {})).toMatchObject({
    epoch: 1,
    mainHeight: 90,
    mainTipHeight: 91,
    confirmations: 2,
    method: 'memo',
    state: 'submitted',
  })
  expect((await call('anchor_list', {})).anchors).toHaveLength(1)
  expect(await call('anchor_get', { epoch: 1 })).toMatchObject({ epoch: 1, confirmations: 2 })
  // Anchoring an epoch anchors all before it.
  expect(await client.call('anchor_get', { epoch: 0 })).toMatchObject({ epoch: 1 })
  await expect(client.call('anchor_get', { epoch: 2 })).rejects.toMatchObject({
    reason: 'NOT_FOUND',
  })
})

test('an anchored epoch is named also where its receipt is not on this node', async () => {
  const receipts = vi.spyOn(ledger, 'receipts').mockReturnValue({ receipts: [], next: undefined })
  const status = await call('anchor_getStatus', {})
  receipts.mockRestore()
  expect(status).toMatchObject({
    epoch: 1,
    mainHeight: 90,
    confirmations: 2,
    method: null,
    state: 'submitted',
  })
})

test('the peg, before anything moved', async () => {
  expect(await call('peg_getStatus', { prove: true })).toMatchObject({
    depositAddress: expect.stringMatching(/^X/),
    depositConfirmations: 3,
    reserve: '0',
    paused: false,
    cause: null,
    day: { number: 0, endsWithEpoch: 23, withdrawn: '0', allowance: '0' },
    proof: { records: [{ table: 'peg' }] },
  })
  expect((await call('peg_listDeposits', { state: 'failed' })).deposits).toEqual([])
  const none = { state: 'unknown', deposit: null, waiting: null }
  expect(await call('peg_getDeposit', { txid: 'ab'.repeat(32) })).toMatchObject(none)
  const both = { txid: 'ab'.repeat(32), mainTransaction: 'ab'.repeat(32) }
  await expect(client.call('peg_getDeposit', both)).rejects.toMatchObject({
    reason: 'INVALID_PARAMS',
  })
  expect((await call('peg_listWithdrawals', { epoch: 1 })).withdrawals).toEqual([])
  await expect(call('peg_getWithdrawal', { id: 'ab'.repeat(32) })).rejects.toMatchObject({
    reason: 'NOT_FOUND',
  })
})

test('the process and its peers', async () => {
  expect(await call('node_getInfo', {})).toMatchObject({ version: '0.1.0', network: 'ci' })
  expect((await call('node_getPeers', {})).peers).toHaveLength(1)
})

test("the owner's files, with the token", async () => {
  const file = { path: '/tmp/a.txt', name: 'a.txt' }
  expect(await call('storage_put', file)).toMatchObject({ name: 'a.txt', state: 'uploading' })
  expect((await call('storage_list', {})).files).toHaveLength(1)
  expect(await call('storage_status', { name: 'a.txt' })).toMatchObject({ bytes: 3 })
  expect(await call('storage_get', { ...file, path: '/tmp/b' })).toMatchObject({ bytes: 3 })
  const missing = client.call('storage_status', { name: 'none' })
  await expect(missing).rejects.toMatchObject({ reason: 'NOT_FOUND' })
})

test('the document lists what is served', async () => {
  const document = await call('rpc.discover', {})
  expect(document.methods.map((method) => method.name)).toEqual(methodNames)
  const page = await fetch(`${server.url}/openrpc.json`)
  expect(await page.json()).toEqual(document)
})

test('subscriptions on a WebSocket: blocks, receipts, rewards, anchors', async () => {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`)
  const messages: { id?: number; result?: never; method?: string; params?: never }[] = []
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as never))
  await new Promise((resolve) => socket.once('open', resolve))
  const send = (id: number, method: MethodName, params: object) => {
    tested.add(method)
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
  }
  const topics = ['blocks', 'receipts', 'rewards', 'anchors']
  topics.forEach((topic, i) => send(i, 'subscribe', { topic }))
  await expect.poll(() => messages.length, soon).toBe(4)
  ledger.append([payout(1n)])
  await expect.poll(() => messages.length, soon).toBe(6)
  expect(messages.slice(4)).toMatchObject([
    {
      method: 'subscription',
      params: { subscription: '1', topic: 'blocks', data: { height: ledger.status().height } },
    },
    { params: { topic: 'receipts', data: { receipts: [{ type: 'payout' }] } } },
  ])
  send(9, 'unsubscribe', { subscription: '1' })
  await expect.poll(() => messages.at(-1)?.result, soon).toEqual({ ended: true })
  send(10, 'chain_getStatus', {})
  await expect.poll(() => messages.at(-1)?.result, soon).toMatchObject({ network: 'ci' })
  socket.close()
})

test('health pages and metrics, on both ports', async () => {
  const pages = [server.url, `http://127.0.0.1:${server.healthPort}`]
  for (const url of pages) {
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect(await (await fetch(`${url}/readyz?verbose`)).text()).toContain('[+] ready')
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain(`ioex_chain_height ${ledger.status().height}`)
    expect(metrics).toContain('ioex_rpc_requests_total{method="chain_getStatus",code="OK"}')
  }
  ledger.ahead = 9
  expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
  const health = await fetch(`${server.url}/health`)
  expect(health.status).toBe(206)
  expect(await health.json()).toMatchObject({ status: 'syncing', height: ledger.status().height })
  ledger.ahead = 0
})

test('every method of the contract was called', () => {
  expect([...tested].toSorted()).toEqual([...methodNames].toSorted())
})
