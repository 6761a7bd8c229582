import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { publicKeyOf, sign } from '../bytes/signature.ts'
import {
  crossChainProgramHash,
  formatElaAddress,
  standardProgramHash,
} from '../elastos/ela-address.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import { memoAnchorDigest, verifyMemoAnchor } from '../elastos/memo-anchor.ts'
import { ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'
import { sideChainPowTransaction } from '../arbiter/arbiter-transactions.ts'
import { type BuiltInMainChain, startBuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import type { TransactionInclusion } from './followed-block.ts'
import { type FollowerOptions, MainChainFollower } from './follower.ts'
import {
  createMainChainClient,
  type MainChainClient,
  MainChainRpcError,
} from './main-chain-client.ts'
import { planDepositTransaction } from '../anchor/deposit-transaction.ts'
import { openMainNode, parseMainNodeAddress } from './main-node.ts'
import type { MainBlockSource } from './main-sources.ts'
import { sharedMainWallet } from '../anchor/main-wallet.ts'
import { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import { signTransaction } from '../anchor/memo-transaction.ts'
import { P2pMainNode, type P2pMainNodeOptions } from './p2p-main-node.ts'

const ELA = 100_000_000n
const secret = new Uint8Array(32).fill(31)
const validatorSecret = new Uint8Array(32).fill(32)
const sideGenesisHash = asInternalHash(new Uint8Array(32).fill(33))
const address = formatElaAddress(standardProgramHash(p256PublicKey(secret)))
const BURN = 'ELANULLXXXXXXXXXXXXXXXXXXXXXYvs3rr'
const folders: string[] = []
const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function startChain(): Promise<{ chain: BuiltInMainChain; rpc: MainChainClient }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'p2p-'))
  folders.push(dataDir)
  const chain = await openChain(dataDir, 0)
  return { chain, rpc: createMainChainClient({ url: chain.rpcUrl }) }
}

async function openChain(dataDir: string, p2pPort: number): Promise<BuiltInMainChain> {
  const chain = await startBuiltInMainChain({
    dataDir,
    genesis: {
      allocations: Array.from({ length: 4 }, () => ({ address, sela: 100n * ELA })),
      timestamp: 1_700_000_000,
    },
    minerAddress: BURN,
    blockIntervalMs: 0,
    rpc: { port: 0 },
    p2p: { port: p2pPort },
  })
  running.push(chain)
  return chain
}

function peerOf(chain: BuiltInMainChain, changes: Partial<P2pMainNodeOptions> = {}): P2pMainNode {
  const { previous } = chain.genesisContext()
  const peer = new P2pMainNode({
    host: '127.0.0.1',
    port: chain.p2pPort as number,
    magic: MainNetMagic.regression,
    start: previous,
    ...changes,
  })
  running.push({ stop: async () => peer.close() })
  return peer
}

function follow(
  chain: BuiltInMainChain,
  client: MainBlockSource,
  changes: Partial<FollowerOptions> = {},
): MainChainFollower {
  const start = chain.genesisContext()
  const follower = new MainChainFollower({ client, params: ELASTOS_REG_NET, start, ...changes })
  running.push(follower)
  return follower
}

async function mine(chain: BuiltInMainChain, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) await chain.mine()
}

const hex = (parts: readonly Uint8Array[]) => parts.map(bytesToHex)

describe('a main node over P2P', () => {
  test('shows the same blocks as over JSON-RPC', async () => {
    const { chain, rpc } = await startChain()
    await mine(chain, 12)
    const peer = peerOf(chain)
    expect(await peer.getBlockCount()).toBe(13)
    for (const height of [1, 7, 12]) {
      const hash = await peer.getBlockHash(height)
      expect(hash).toBe(await rpc.getBlockHash(height))
      expect(await peer.getBlockRaw(hash)).toEqual(await rpc.getBlockRaw(hash))
      expect(await peer.getBlockTransactionIds(hash)).toEqual(
        await rpc.getBlockTransactionIds(hash),
      )
    }
  })

  test('is followed over reorganisations like JSON-RPC', async () => {
    const { chain, rpc } = await startChain()
    const [byPeer, byRpc] = [follow(chain, peerOf(chain)), follow(chain, rpc)]
    await mine(chain, 30)
    for (const depth of [1, 3, 12]) {
      for (const follower of [byPeer, byRpc]) await follower.poll()
      expect(byPeer.tip).toEqual(byRpc.tip)
      await chain.reorganise(depth)
    }
    for (const follower of [byPeer, byRpc]) await follower.poll()
    expect(byPeer.tip).toMatchObject({ height: 33, hash: chain.ledger.tip.hash })
    const genesis = { height: 0, hash: chain.genesisHash }
    expect(hex(byPeer.headersAfter(genesis))).toEqual(hex(byRpc.headersAfter(genesis)))
  })

  test('a peer far ahead is read by and by, and its past is forgotten in time', async () => {
    const { chain } = await startChain()
    await mine(chain, 1100)
    const peer = peerOf(chain)
    expect(await peer.getBlockCount()).toBe(1101)
    const follower = follow(chain, peer, { windowBlocks: 600 })
    await follower.poll()
    expect(follower.tip.height).toBe(600)
    follower.release(600)
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 1100, hash: chain.ledger.tip.hash })
  })

  test('after a restart it goes on from the block on record', async () => {
    const { chain } = await startChain()
    await mine(chain, 20)
    const first = follow(chain, peerOf(chain))
    await first.poll()
    const start = chain.ledger.contextAfter(chain.ledger.at(15) as never)
    await first.stop()
    await chain.reorganise(2)
    const again = follow(chain, peerOf(chain, { start: start.previous }), { start })
    await again.poll()
    expect(again.tip).toMatchObject({ height: 21, hash: chain.ledger.tip.hash })
    const from = { height: 15, hash: start.previous.hash }
    expect(again.headersAfter(from)).toHaveLength(6)
  })

  test('a main node that restarts is found again', async () => {
    const { chain } = await startChain()
    await mine(chain, 5)
    const port = chain.p2pPort as number
    const follower = follow(chain, peerOf(chain))
    await follower.poll()
    const [dataDir] = folders
    await chain.stop()
    await expect(follower.poll()).rejects.toThrow(/does not shake hands|hung up/)
    const again = await openChain(dataDir as string, port)
    await again.mine()
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 6, hash: again.ledger.tip.hash })
  })
})

/** What of the side chain a follower found, in words that two followers can be compared by. */
function findings(follower: MainChainFollower) {
  const place = ({ raw, height, index, branch }: TransactionInclusion) => ({
    raw: bytesToHex(raw),
    height,
    index,
    branch: hex(branch),
  })
  return {
    deposits: [...follower.deposits(0, 1000)].map(place),
    memos: follower.anchors().map(place),
    pow: follower.powAnchors().map(place),
  }
}

describe('a follower over P2P alone', () => {
  const deposit = async (rpc: MainChainClient, amount: bigint) => {
    const plan = planDepositTransaction({
      to: crossChainProgramHash(sideGenesisHash),
      target: 'somebody',
      amount,
      spendable: await rpc.listUnspent(address),
      feeSela: 100n,
      payerPublicKey: p256PublicKey(secret),
    })
    if (!plan.ok) expect.fail(plan.fault.message)
    return signTransaction(plan.value, secret)
  }

  const memo = (epoch: number) => {
    const commitment = {
      sideGenesisHash,
      epoch,
      checkpointHash: new Uint8Array(32).fill(epoch),
      validatorIndex: 0,
    }
    const digest = memoAnchorDigest(commitment, sideGenesisHash)
    return { ...commitment, signature: sign(digest, validatorSecret) }
  }

  const powAnchor = (chain: BuiltInMainChain, byte: number) => {
    const duty = chain.ledger.crossChain.dutyIndex(chain.height + 1)
    const checkpoint = {
      hash: asInternalHash(new Uint8Array(32).fill(byte)),
      genesisHash: sideGenesisHash,
      height: byte,
    }
    const signer = LOCAL_ARBITER_SECRETS[duty] as Uint8Array
    return sideChainPowTransaction(checkpoint, signer, standardProgramHash(p256PublicKey(secret)))
  }

  test('finds the deposits and anchors that JSON-RPC shows, reorganised ones too', async () => {
    const { chain, rpc } = await startChain()
    const peer = peerOf(chain)
    const byPeer = follow(chain, peer, { sideGenesisHash })
    const byRpc = follow(chain, rpc, { sideGenesisHash })
    const wallet = sharedMainWallet([
      { name: 'rpc', client: rpc, sender: rpc, rpc },
      { name: 'p2p', client: peer, sender: peer, rpc: undefined },
    ])
    const anchorer = new MemoAnchorer({
      client: wallet,
      elaSecretKey: secret,
      isConfirmed: (id) => byPeer.hasTransaction(id),
    })
    for (let epoch = 1; epoch <= 3; epoch++) {
      await anchorer.submit(memo(epoch))
      await rpc.sendRawTransaction(powAnchor(chain, epoch))
      await mine(chain, 1)
      await peer.sendRawTransaction(await deposit(rpc, ELA))
      await mine(chain, 2)
      for (const follower of [byPeer, byRpc]) await follower.poll()
      expect(findings(byPeer)).toEqual(findings(byRpc))
    }
    const found = findings(byPeer)
    expect([found.deposits.length, found.memos.length, found.pow.length]).toEqual([3, 3, 3])
    await chain.reorganise(4)
    for (const follower of [byPeer, byRpc]) await follower.poll()
    expect(byPeer.tip).toEqual(byRpc.tip)
    const left = findings(byPeer)
    expect(left).toEqual(findings(byRpc))
    expect(left.deposits.length).toBeLessThan(3)
    await mine(chain, 2)
    for (const follower of [byPeer, byRpc]) await follower.poll()
    const back = findings(byPeer)
    expect(back).toEqual(findings(byRpc))
    expect(back.deposits).toHaveLength(3)
    const [sighting] = byPeer.anchors()
    if (!sighting) expect.fail('no anchor')
    const key = publicKeyOf(validatorSecret)
    expect(verifyMemoAnchor(sighting.anchor, sideGenesisHash, key).ok).toBe(true)
    expect(await byPeer.findTransaction(sighting.id)).toMatchObject({ raw: sighting.raw })
  })

  test('both kinds together: one chain, and either alone keeps it going', async () => {
    const { chain } = await startChain()
    const start = chain.genesisContext()
    const nodes = [chain.rpcUrl, `elap2p://127.0.0.1:${chain.p2pPort}`].map((text) => {
      const parsed = parseMainNodeAddress(text, 'regression')
      if (!parsed.ok) expect.fail(parsed.fault.message)
      return openMainNode(text, parsed.value, start.previous)
    })
    for (const [first, second] of [nodes, [...nodes].reverse()]) {
      if (!first || !second) expect.fail('two nodes')
      let isGone = true
      const client: MainBlockSource = {
        ...first.client,
        getBlockCount: () =>
          isGone ? Promise.reject(new Error('gone')) : first.client.getBlockCount(),
        getBlockHash: (height) => first.client.getBlockHash(height),
        getBlockRaw: (hash) => first.client.getBlockRaw(hash),
      }
      const follower = new MainChainFollower({
        client,
        others: [{ name: second.name, client: second.client }],
        params: ELASTOS_REG_NET,
        start,
      })
      await mine(chain, 4)
      await follower.poll()
      expect(follower.tip).toMatchObject({ hash: chain.ledger.tip.hash })
      isGone = false
      await mine(chain, 1)
      await follower.poll()
      expect(follower.status().sources.map(({ height }) => height)).toEqual([
        expect.any(Number),
        chain.height,
      ])
      expect(follower.status().sources.every(({ contradicts }) => !contradicts)).toBe(true)
    }
    for (const { client } of nodes) client.close?.()
  })
})

describe('transactions over P2P', () => {
  test('one that is taken is confirmed; refused and known ones are told apart', async () => {
    const { chain, rpc } = await startChain()
    const peer = peerOf(chain)
    const plan = planDepositTransaction({
      to: crossChainProgramHash(sideGenesisHash),
      target: 'somebody',
      amount: ELA,
      spendable: await rpc.listUnspent(address),
      feeSela: 100n,
      payerPublicKey: p256PublicKey(secret),
    })
    if (!plan.ok) expect.fail(plan.fault.message)
    const raw = signTransaction(plan.value, secret)
    const id = await peer.sendRawTransaction(raw)
    expect(await peer.getRawTransaction(id)).toEqual(raw)
    expect(await rpc.getRawTransaction(id)).toEqual(raw)
    await expect(peer.sendRawTransaction(raw)).rejects.toMatchObject({ code: 45011 })
    const unsigned = raw.slice()
    unsigned[raw.length - 40] = (unsigned[raw.length - 40] as number) ^ 1
    await expect(peer.sendRawTransaction(unsigned)).rejects.toThrow(MainChainRpcError)
    await chain.mine()
    // In a block it is found by naming the block, and only so.
    await expect(peer.getRawTransaction(id)).rejects.toMatchObject({ code: 44001 })
    const tip = await rpc.getBlockHash(1)
    expect(await peer.getRawTransaction(id, tip)).toEqual(raw)
  })
})
