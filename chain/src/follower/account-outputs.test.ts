import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { sign } from '../bytes/signature.ts'
import { ELASTOS_REG_NET, type HeaderContext } from '../elastos/header-rules.ts'
import { memoAnchorDigest } from '../elastos/memo-anchor.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'
import { AccountOutputs } from './account-outputs.ts'
import type { BuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import { MainChainFollower } from './follower.ts'
import { createMainChainClient } from './main-chain-client.ts'
import { type MainNode, openMainNode } from './main-node.ts'
import { sharedMainWallet } from '../anchor/main-wallet.ts'
import { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import { planMemoTransaction, signTransaction } from '../anchor/memo-transaction.ts'
import {
  Cleanups,
  elaAddressOf,
  mineBlocks,
  startTestMainChain,
} from '../main-chain/testing/test-main-chain.ts'

const ELA = 100_000_000n
const rich = new Uint8Array(32).fill(21)
const own = new Uint8Array(32).fill(22)
const sideGenesisHash = new Uint8Array(32).fill(23)
const cleanups = new Cleanups()
afterEach(() => cleanups.run())

const startChain = () =>
  startTestMainChain(cleanups, {
    p2p: { port: 0 },
    genesis: {
      allocations: Array.from({ length: 4 }, () => ({ address: elaAddressOf(rich), sela: ELA })),
      timestamp: 1_700_000_000,
    },
  })

async function accountPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'account-'))
  cleanups.add(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'main-account.json')
}

/** The chain's node over P2P alone. */
function p2pNode(chain: BuiltInMainChain, start: HeaderContext): MainNode {
  const port = chain.p2pPort ?? 0
  const address = { kind: 'p2p', host: '127.0.0.1', port, magic: MainNetMagic.regression } as const
  return openMainNode('p2p', address, start.previous)
}

function follow(chain: BuiltInMainChain, start = chain.genesisContext()) {
  const node = p2pNode(chain, start)
  const follower = new MainChainFollower({
    client: node.client,
    params: ELASTOS_REG_NET,
    start,
    accountKey: p256PublicKey(own),
  })
  cleanups.add(() => follower.stop())
  return { node, follower }
}

/** Pays one output of the rich account, but for a fee, to another key, unless told what. */
async function pay(chain: BuiltInMainChain, from: Uint8Array, to: Uint8Array): Promise<void> {
  const client = createMainChainClient({ url: chain.rpcUrl })
  const unspent = await client.listUnspent(elaAddressOf(from))
  const planned = planMemoTransaction({
    anchor: anchorOf(1),
    spendable: unspent.slice(0, 1),
    feeSela: 10_000n,
    payerPublicKey: p256PublicKey(to),
  })
  if (!planned.ok) throw new Error(planned.fault.message)
  await client.sendRawTransaction(signTransaction(planned.value, from))
}

function anchorOf(epoch: number) {
  const commitment = {
    sideGenesisHash,
    epoch,
    checkpointHash: new Uint8Array(32).fill(epoch),
    validatorIndex: 0,
  }
  return { ...commitment, signature: sign(memoAnchorDigest(commitment, sideGenesisHash), own) }
}

const owned = async (account: AccountOutputs) =>
  (await account.listUnspent(account.address)).map(({ sela }) => sela)

test('what an account owns is read from the chain, as its main node would tell it', async () => {
  const chain = await startChain()
  const client = createMainChainClient({ url: chain.rpcUrl })
  const { follower } = follow(chain)
  const account = AccountOutputs.open(await accountPath(), elaAddressOf(own))
  const expectSame = async () => {
    await follower.poll()
    expect(account.sync(follower)).toBe(true)
    const byOutpoint = (a: { txid: string }, b: { txid: string }) => (a.txid < b.txid ? -1 : 1)
    const ours = (await account.listUnspent(account.address)).sort(byOutpoint)
    expect(ours).toEqual((await client.listUnspent(account.address)).sort(byOutpoint))
    expect(await account.getBlockCount()).toBe(await client.getBlockCount())
  }
  await expectSame()
  await pay(chain, rich, own)
  await chain.mine()
  await expectSame()
  expect(await owned(account)).toEqual([ELA - 10_000n])
  await pay(chain, rich, own)
  await pay(chain, own, rich)
  await mineBlocks(chain, 2)
  await expectSame()
  expect(await owned(account)).toHaveLength(1)
  // Both payments wait again: the first output is owned once more, the second not yet.
  await chain.reorganise(2)
  await expectSame()
  expect(await owned(account)).toEqual([ELA - 10_000n])
  await chain.mine()
  await expectSame()
  expect(await account.listUnspent(elaAddressOf(rich))).toEqual([])
})

test('is kept over restarts, and forgotten where blocks were missed or the file is damaged', async () => {
  const chain = await startChain()
  const path = await accountPath()
  const address = elaAddressOf(own)
  await pay(chain, rich, own)
  await mineBlocks(chain, 2)
  const { follower } = follow(chain)
  await follower.poll()
  AccountOutputs.open(path, address).sync(follower)
  const start = chain.ledger.contextAfter(chain.ledger.tip)
  await chain.mine()
  const later = follow(chain, start).follower
  await later.poll()
  const again = AccountOutputs.open(path, address)
  expect(again.sync(later)).toBe(true)
  expect(await owned(again)).toEqual([ELA - 10_000n])
  expect(await owned(AccountOutputs.open(path, elaAddressOf(rich)))).toEqual([])
  // The next start lies above what was read last.
  await chain.mine()
  const gap = follow(chain, chain.ledger.contextAfter(chain.ledger.tip)).follower
  await gap.poll()
  const lost = AccountOutputs.open(path, address)
  expect(lost.sync(gap)).toBe(false)
  expect(await owned(lost)).toEqual([])
  const text = await readFile(path, 'utf8')
  for (const damaged of ['', '{', '[]', text.replace('"version":1', '"version":2')]) {
    await writeFile(path, damaged)
    const fresh = AccountOutputs.open(path, address)
    expect(fresh.sync(follower)).toBe(true)
    expect(await owned(fresh)).toEqual([ELA - 10_000n])
  }
})

test('a node that speaks P2P alone pays for memo anchors', async () => {
  const chain = await startChain()
  const { node, follower } = follow(chain)
  const account = AccountOutputs.open(await accountPath(), elaAddressOf(own))
  const memos = new MemoAnchorer({
    client: sharedMainWallet([node], account),
    elaSecretKey: own,
    isConfirmed: (id) => follower.hasTransaction(id),
  })
  const look = async () => {
    await follower.poll()
    account.sync(follower)
  }
  await look()
  await expect(memos.submit(anchorOf(1))).rejects.toThrow(`send ELA to ${elaAddressOf(own)}`)
  await pay(chain, rich, own)
  await chain.mine()
  await look()
  for (const epoch of [1, 2, 3]) {
    await memos.submit(anchorOf(epoch))
    expect(chain.mempool.size).toBe(1)
    await chain.mine()
    await look()
    await memos.refresh()
    expect(memos.waiting()).toEqual([])
  }
  expect(await owned(account)).toEqual([ELA - 40_000n])
})
