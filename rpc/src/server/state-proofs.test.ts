import { bytesToHex, checkListProof, formatAddress, fromHex } from '@ioex/chain/bytes'
import {
  EpochHandoverType,
  hopEpoch,
  trustCheckpoint,
  verifyAccount,
  verifyGlobals,
  verifyHistory,
  verifyNode,
  verifyPeg,
  verifyRecordAt,
  verifyReward,
} from '@ioex/chain/light'
import { RECEIPTS_PER_BLOCK_MAX, ValidatorSetType, validatorSetHash } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { decodeHeader } from '../client/certified-head.ts'
import { readBlockBranch, readHashes, readStateProof } from '../client/proof-reader.ts'
import { createRpcClient, type RpcClient } from '../client/rpc-client.ts'
import type { ListProofJson, StateProofsJson } from '../contract/json-forms.ts'
import { type RpcServer, startRpcServer } from './rpc-server.ts'
import { addresses, createLedgerStory } from './testing/ledger-story.ts'
import type { MemoryLedger } from './testing/memory-ledger.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let ledger: MemoryLedger
let server: RpcServer
let client: RpcClient
const text = (address: Uint8Array) => formatAddress(address, presets.ci.addressPrefix)

beforeAll(async () => {
  ledger = createLedgerStory(presets.ci)
  server = await startRpcServer({ ledger, port: 0 })
  client = createRpcClient({ url: server.url })
})
afterAll(() => server.close())

/** The first record of a set of proofs, and the state root of the header beside it. */
function shown(proofs: StateProofsJson | undefined, at = 0) {
  const record = proofs?.records[at]
  if (!proofs || !record) throw new Error('nothing is proven')
  const header = decodeHeader(proofs.header)
  const found = readStateProof(record)
  if (!header.ok || !found.ok) throw new Error('the proof has another form')
  expect(bytesToHex(header.value.stateRoot)).toBe(headerAt(proofs.height))
  return { root: header.value.stateRoot, found: found.value }
}

function headerAt(height: number): string {
  const block = ledger.block(height)
  if (!block) throw new Error(`the story has no block ${height}`)
  return bytesToHex(block.header.stateRoot)
}

test('accounts, present and absent', async () => {
  const { payer } = addresses
  const present = await client.call('chain_getAccount', { address: text(payer), prove: true })
  const own = shown(present.proof)
  const account = verifyAccount(own.root, payer, own.found)
  expect(account.ok && account.value?.balance).toBe(1_000_000n)
  const nobody = new Uint8Array(20).fill(4)
  const absent = await client.call('chain_getAccount', { address: text(nobody), prove: true })
  expect(absent.exists).toBe(false)
  const other = shown(absent.proof)
  expect(verifyAccount(other.root, nobody, other.found)).toEqual({ ok: true, value: undefined })
})

test('nodes, rails, contracts and epochs, one and many', async () => {
  const node = shown((await client.call('nodes_get', { id: 1, prove: true })).proof)
  expect(verifyNode(node.root, addresses.peer, node.found).ok).toBe(true)
  const nodes = await client.call('nodes_list', { prove: true })
  expect(nodes.proof?.records).toHaveLength(2)
  const second = shown(nodes.proof, 1)
  expect(verifyNode(second.root, addresses.peer, second.found).ok).toBe(true)
  const rail = shown((await client.call('rails_get', { id: 0, prove: true })).proof)
  expect(verifyRecordAt(rail.root, 'rails', 0, rail.found).ok).toBe(true)
  const rails = shown((await client.call('rails_list', { prove: true })).proof)
  expect(verifyRecordAt(rails.root, 'rails', 0, rails.found).ok).toBe(true)
  const contract = shown((await client.call('contracts_get', { id: 0, prove: true })).proof)
  expect(verifyRecordAt(contract.root, 'contracts', 0, contract.found).ok).toBe(true)
  const health = (await client.call('contracts_health', { id: 0, prove: true })).proof
  expect(health?.records).toHaveLength(3)
  const behind = shown(health)
  const railOfSlot = shown(health, 1)
  const holder = shown(health, 2)
  expect(verifyRecordAt(behind.root, 'contracts', 0, behind.found).ok).toBe(true)
  expect(verifyRecordAt(railOfSlot.root, 'rails', 0, railOfSlot.found).ok).toBe(true)
  expect(verifyNode(holder.root, addresses.peer, holder.found).ok).toBe(true)
  const contracts = shown((await client.call('contracts_list', { prove: true })).proof)
  expect(verifyRecordAt(contracts.root, 'contracts', 0, contracts.found).ok).toBe(true)
  const epoch = shown((await client.call('chain_getEpoch', { epoch: 1, prove: true })).proof)
  const record = verifyRecordAt(epoch.root, 'epochs', 1, epoch.found)
  expect(record.ok && record.value?.fees).toBe(1000n)
})

test('many records of one block in one answer; null where nothing proves a place', async () => {
  const unknown = text(new Uint8Array(20))
  const answer = await client.call('chain_getRecords', {
    records: [
      { table: 'rails', index: 0 },
      { table: 'nodes', address: text(addresses.peer) },
      { table: 'nodes', address: unknown },
      { table: 'rails', index: 50 },
    ],
  })
  expect(answer.records.map((each) => each?.index ?? null)).toEqual([0, 1, null, 0])
  const beyond = shown(answer, 3)
  const absent = verifyRecordAt(beyond.root, 'rails', 50, beyond.found)
  expect(absent).toEqual({ ok: true, value: undefined })
})

test('supply, validators, totals of an epoch and an anchor', async () => {
  const { proof } = await client.call('chain_getSupply', { prove: true })
  const globals = shown(proof)
  const found = verifyGlobals(globals.root, globals.found)
  expect(found.ok && found.value.genesisSupply).toBe(1_000_000n)
  expect(verifyPeg(globals.root, shown(proof, 1).found).ok).toBe(true)
  for (const epoch of [1, 2, 3]) {
    const validators = await client.call('chain_getValidators', { epoch, prove: true })
    const set = ValidatorSetType.deserialize(fromHex(validators.proof?.set ?? ''))
    const header = decodeHeader(validators.proof?.header ?? '')
    if (!header.ok) throw new Error(header.fault.message)
    const { validatorsHash, nextValidatorsHash } = header.value
    const committed = header.value.epoch === epoch ? validatorsHash : nextValidatorsHash
    expect(bytesToHex(validatorSetHash(set))).toBe(bytesToHex(committed))
  }
  const totals = shown((await client.call('rewards_getEpoch', { epoch: 1, prove: true })).proof)
  expect(verifyRecordAt(totals.root, 'epochs', 1, totals.found).ok).toBe(true)
})

test('a statement: fee by reward path, receipts by their blocks', async () => {
  const statement = { node: text(addresses.peer), epoch: 1, prove: true }
  const { proof, receipts, fees } = await client.call('rewards_getStatement', statement)
  if (!proof?.fee) throw new Error('the fee is not proven')
  const epoch = shown(proof.epoch)
  const record = verifyRecordAt(epoch.root, 'epochs', 1, epoch.found)
  if (!record.ok || !record.value) throw new Error('the epoch is not proven')
  const steps = proof.fee.steps.map(({ position, data }) => ({ position, data: fromHex(data) }))
  const fee = { node: addresses.peer, fee: BigInt(proof.fee.fee) }
  expect(verifyReward(record.value.rewardRoot, { fee, steps }).ok).toBe(true)
  expect(proof.fee.fee).toBe(fees)
  expect(proof.receipts).toHaveLength(receipts.length)
  for (const each of proof.receipts) expect(leadsToRoot(each)).toBe(true)
  const open = await client.call('rewards_getStatement', { ...statement, epoch: 2 })
  expect(open.proof?.fee).toBeNull()
})

function leadsToRoot(json: ListProofJson): boolean {
  const read = readBlockBranch(json)
  if (!read.ok) return false
  const proof = { ...read.value, leaf: fromHex(json.leaf), root: fromHex(json.root) }
  return checkListProof(proof, RECEIPTS_PER_BLOCK_MAX).ok
}

test('old headers under the newest one', async () => {
  const { header, branch, under } = await client.call('chain_getHeaderProof', { height: 4 })
  const [old, later, hashes] = [
    decodeHeader(header),
    decodeHeader(under.header),
    readHashes(branch),
  ]
  if (!old.ok || !later.ok || !hashes.ok) throw new Error('the proof has another form')
  const block = ledger.block(under.height)
  if (!block) throw new Error('the story has this block')
  const found = verifyHistory({ header: later.value, hash: block.hash }, old.value, hashes.value)
  expect(found.ok && found.value.hash).toEqual(ledger.block(4)?.hash)
  const future = client.call('chain_getHeaderProof', { height: 10_000 })
  await expect(future).rejects.toMatchObject({ reason: 'NOT_FOUND' })
})

test('epochs by their ends, one after the other', async () => {
  for (let i = 0; i < 25; i++) ledger.append([])
  const { proofs } = await client.call('chain_getEpochProofs', { from: 1, to: 50 })
  expect(proofs).toHaveLength(3)
  const genesis = ledger.block(0)
  if (!genesis) throw new Error('the story has a genesis')
  let trusted = trustCheckpoint(genesis, ledger.validatorSet())
  for (const proof of proofs) {
    if (!trusted.ok) throw new Error(trusted.fault.message)
    const { chainId, params } = ledger
    const rules = { chainId, epochBlocks: params.epochBlocks }
    trusted = hopEpoch(trusted.value, EpochHandoverType.deserialize(fromHex(proof)), rules)
  }
  expect(trusted.ok && trusted.value.epoch).toBe(4)
})
