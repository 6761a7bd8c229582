import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addressOf, bytesToHex, formatAddress, parseAddress, publicKeyOf } from '@ioex/chain/bytes'
import { draftOf, merge } from '@ioex/chain/state'
import { decodeTransaction, NodeRole, transactionId } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { RpcError } from '@ioex/rpc/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  keyOf as sampleKey,
  SampleChain,
  UNITS,
} from '../../../chain/src/rules/testing/sample-chain.ts'
import type { CommandContext } from '../command-context.ts'
import { PassphraseSource } from '../keys/passphrase.ts'
import { createWallet } from '../wallet/wallet-file.ts'
import { formerNodeKeys, nextKey, swapKey } from './key-swap.ts'
import { keyOf, keyPath } from './node-keys.ts'
import { registerNode, rotateNodeKey, unregisterNode } from './register-actions.ts'

const { addressPrefix } = presets.ci
const passphrase = new PassphraseSource({ file: undefined, prompt: undefined })

let data: string
let chain: SampleChain
let results: Record<string, unknown>[]
/** What happens to a transaction that is handed in. */
let onSend: () => void

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'ioex-register-'))
  const wallet = await createWallet(data)
  await keyOf({ data, walletData: data, passphrase, isSealed: false }, 'node')
  chain = new SampleChain()
  fund(wallet.address)
  results = []
  onSend = () => undefined
})
afterEach(() => rm(data, { recursive: true, force: true }))

function fund(address: Uint8Array): void {
  const value = { to: address, amount: 100n * UNITS }
  chain.block([chain.byOwner(sampleKey('alice'), { selector: 0, value })])
}

const roleNames = (roles: number) =>
  (['peer', 'bootstrap', 'validator'] as const).filter((name) => roles & NodeRole[name])

/** A full node's answers, from the sample chain. */
function answer(method: string, params: Record<string, never>): unknown {
  const { ledger } = chain
  switch (method) {
    case 'chain_getStatus':
      return { chainId: bytesToHex(chain.chainId), height: chain.height, baseFee: '10' }
    case 'chain_getParams':
      return { addressPrefix }
    case 'chain_getNonce': {
      const parsed = parseAddress(params.address ?? '', addressPrefix)
      const index = parsed.ok ? ledger.accountIndex(parsed.value) : undefined
      return { nonce: index === undefined ? 0 : ledger.accounts.get(index)?.nonce }
    }
    case 'chain_sendTransaction': {
      const decoded = decodeTransaction(Buffer.from(params.transaction ?? '', 'hex'))
      if (!decoded.ok) throw new Error(decoded.fault.message)
      const code = chain.outcome(decoded.value)
      if (code !== 'ok') throw new RpcError(code, 'refused')
      onSend()
      chain.block([decoded.value])
      return { id: bytesToHex(transactionId(decoded.value)) }
    }
    case 'chain_waitTransaction':
      return { state: 'final', height: chain.height }
    case 'nodes_get': {
      const parsed = parseAddress(params.id ?? '', addressPrefix)
      const index = parsed.ok ? ledger.nodeIndex(parsed.value) : undefined
      const node = index === undefined ? undefined : ledger.nodes.get(index)
      if (!node) throw new RpcError('NOT_FOUND', 'no such node')
      const payout = formatAddress(node.payout, addressPrefix)
      const deposit = node.deposit.toString()
      return { index, roles: roleNames(node.roles), payout, deposit, exitEpoch: node.exitEpoch }
    }
    default:
      throw new Error(`nobody asks ${method}`)
  }
}

function context(): CommandContext {
  return {
    settings: { data, network: 'ci' },
    io: { folder: data },
    output: { result: (facts: never) => void results.push(facts), note: () => undefined },
    passphrase,
    addressPrefix,
    client: () =>
      Promise.resolve({
        url: 'http://sample',
        call: async (method: string, params: Record<string, never>) => answer(method, params),
      }),
  } as unknown as CommandContext
}

const readNodeKey = async () =>
  publicKeyOf(Buffer.from((await readFile(keyPath(data, 'node'), 'utf8')).trim(), 'hex'))
const recordOf = (publicKey: Uint8Array) => {
  const index = chain.ledger.nodeIndex(addressOf(publicKey))
  return index === undefined ? undefined : chain.ledger.nodes.get(index)
}
const flags = { wait: true }

describe('a node on the chain', () => {
  test('is registered, and registered again with another payout', async () => {
    await registerNode(context(), flags)
    const key = await readNodeKey()
    expect(recordOf(key)).toMatchObject({ roles: NodeRole.bootstrap, owner: recordOf(key)?.payout })
    const payout = formatAddress(new Uint8Array(20).fill(7), addressPrefix)
    await registerNode(context(), { ...flags, payout })
    expect(recordOf(key)?.payout).toEqual(new Uint8Array(20).fill(7))
    expect(results[1]).toMatchObject({ node: 0, roles: ['bootstrap'], payout, state: 'final' })
    // Without a flag what the chain has stays.
    await registerNode(context(), flags)
    expect(recordOf(key)?.payout).toEqual(new Uint8Array(20).fill(7))
  })

  test('gives up its roles, waits for its deposit, and has it back', async () => {
    await expect(unregisterNode(context(), flags)).rejects.toThrow(/no role to give up/)
    await registerNode(context(), flags)
    const key = await readNodeKey()
    await unregisterNode(context(), flags)
    const deposit = chain.params.registerDepositUnits
    expect(recordOf(key)).toMatchObject({ roles: 0, deposit })
    expect(results[1]).toMatchObject({ node: 0, roles: [], exitEpoch: chain.epoch + 2 })
    await expect(unregisterNode(context(), flags)).rejects.toMatchObject({ reason: 'DEPOSIT_HELD' })
    // As after the time that anchors and unbonding take, which the rule's own tests go through.
    const draft = draftOf(chain.ledger)
    const node = draft.nodes.get(0)
    if (node) draft.nodes.set(0, { ...node, deposit: 0n })
    merge(draft)
    await expect(unregisterNode(context(), flags)).rejects.toThrow(/no deposit to get back/)
  })

  test('gets a new key: its file changes only when the chain has it', async () => {
    await registerNode(context(), flags)
    const old = await readNodeKey()
    let atSending: Uint8Array | undefined
    const before = readNodeKey()
    onSend = () => void before.then((key) => (atSending = key))
    await rotateNodeKey(context(), flags)
    expect(atSending).toEqual(old)
    const fresh = await readNodeKey()
    expect(fresh).not.toEqual(old)
    expect(recordOf(fresh)).toMatchObject({ roles: NodeRole.bootstrap })
    expect(recordOf(old)).toMatchObject({ roles: 0, deposit: 0n })
    const former = await formerNodeKeys(data, passphrase)
    expect(former.map(publicKeyOf)).toEqual([old])
    await rotateNodeKey(context(), flags)
    expect((await formerNodeKeys(data, passphrase)).map(publicKeyOf)).toEqual([old, fresh])
    expect(chain.ledger.nodes.count).toBe(3)
  })

  test('an unregistered node has no key to change on the chain', async () => {
    await expect(rotateNodeKey(context(), flags)).rejects.toThrow(/only a registered node/)
  })

  test('an interrupted change goes on with the same key', async () => {
    await registerNode(context(), flags)
    const old = await readNodeKey()
    onSend = () => {
      throw new Error('the line is dead')
    }
    await expect(rotateNodeKey(context(), flags)).rejects.toThrow(/the line is dead/)
    expect(await readNodeKey()).toEqual(old)
    const next = publicKeyOf(await nextKey(data, 'node', passphrase))
    onSend = () => undefined
    await rotateNodeKey(context(), flags)
    expect(await readNodeKey()).toEqual(next)
    expect(chain.ledger.nodes.count).toBe(2)
  })

  test('whatever step of the swap is the last, the next run ends it', async () => {
    await registerNode(context(), flags)
    const old = await readNodeKey()
    const next = publicKeyOf(await nextKey(data, 'node', passphrase))
    // The chain has the new key, and of the files only the old one was moved.
    await rotateNodeKey(context(), flags)
    await rename(keyPath(data, 'node'), join(data, 'keys', 'node-next.key'))
    await rotateNodeKey(context(), flags)
    expect(await readNodeKey()).toEqual(next)
    expect((await formerNodeKeys(data, passphrase)).map(publicKeyOf)).toEqual([old])
    expect((await readdir(join(data, 'keys'))).sort()).toEqual(['node-former-1.key', 'node.key'])
    await nextKey(data, 'node', passphrase)
    await swapKey(data, 'node')
    expect(await formerNodeKeys(data, passphrase)).toHaveLength(2)
  })
})
