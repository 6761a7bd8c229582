import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'
import { type BuiltInMainChain, startBuiltInMainChain } from './built-in-main-chain.ts'
import { type FollowerOptions, MainChainFollower } from './follower.ts'
import { createMainChainClient, type MainChainClient } from './main-chain-client.ts'
import type { MainBlockSource } from './main-sources.ts'
import { P2pMainNode, type P2pMainNodeOptions } from './p2p-main-node.ts'

const secret = new Uint8Array(32).fill(31)
const address = formatElaAddress(standardProgramHash(p256PublicKey(secret)))
const folders: string[] = []
const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function startChain(): Promise<{ chain: BuiltInMainChain; rpc: MainChainClient }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'p2p-'))
  folders.push(dataDir)
  const chain = await startBuiltInMainChain({
    dataDir,
    genesis: { allocations: [{ address, sela: 100_000_000n }], timestamp: 1_700_000_000 },
    minerAddress: address,
    blockIntervalMs: 0,
    rpc: { port: 0 },
    p2p: { port: 0 },
  })
  running.push(chain)
  return { chain, rpc: createMainChainClient({ url: chain.rpcUrl }) }
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
})
