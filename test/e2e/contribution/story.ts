import { randomBytes } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, bytesToHex, fromHex } from '@ioex/chain/bytes'
import { CloseKind, PayloadKind } from '@ioex/chain/types'
import type { ChainClient } from '@ioex/storage-node/node'
import { ChainRefusal, OwnerAccount } from '@ioex/storage-node/node'
import { createStorageClient, type StorageClient } from '@ioex/storage-node/scheduler'
import pino from 'pino'
import type { ChildNode } from '../../../cli/src/devnet/child-node.ts'
import { genesisPath } from '../../../cli/src/devnet/devnet-files.ts'
import { readGenesis } from '../../../cli/src/nodes/genesis-of.ts'
import { readOrCreateKey } from '../../../cli/src/nodes/key-file.ts'
import { openLightChain } from '../../../cli/src/nodes/light-chain.ts'
import { readWallet } from '../../../cli/src/wallet/wallet-file.ts'
import { type TestNetwork, until } from '../network-harness.ts'
import { WINDOW } from './hand-ledger.ts'

const FILES = 4
const FILE_BYTES = 2 * 2 ** 20
/** Longer than any variant of the run: nothing ends by itself. */
const TERM_EPOCHS = 300
export const silent = pino({ level: 'silent' })

/** The owner, what belongs to it, and the network that it uses. */
export interface Cast {
  readonly network: TestNetwork
  readonly chain: ChainClient
  readonly client: StorageClient
  readonly owner: OwnerAccount
  readonly ownerKey: Uint8Array
  close(): Promise<void>
}

export async function gatherCast(network: TestNetwork): Promise<Cast> {
  const { data } = network.options
  const genesis = await readGenesis(genesisPath(data))
  const trustFile = join(data, 'owner', 'light-trust.json')
  const refusal = (code: string, message: string) => new ChainRefusal(code, message)
  const options = { genesis, trustFile, refusal }
  const chain = await openLightChain(options, network.running.rpcUrls(), () => undefined)
  const { owner } = await readWallet(data)
  const client = await createStorageClient({
    dataDir: join(data, 'owner'),
    ownerKey: owner.secretKey,
    nodeKey: await readOrCreateKey(join(data, 'owner', 'node.key')),
    chain,
    bootstrap: network.running.record.bootstrap,
    logger: silent,
  })
  return {
    network,
    chain,
    client,
    owner: new OwnerAccount(chain, owner.secretKey),
    ownerKey: owner.secretKey,
    async close() {
      await client.close()
      await chain.close()
    },
  }
}

export function addressOfNode(node: ChildNode): string {
  return bytesToHex(addressOf(fromHex(node.info.nodeKey as string)))
}

export async function epochNow({ chain }: Cast): Promise<number> {
  return (await chain.head()).epoch
}

export async function untilEpoch(cast: Cast, epoch: number): Promise<void> {
  const reached = async () => (await epochNow(cast)) >= epoch
  await until(`epoch ${epoch}`, reached, 600_000)
}

/** Stops peers and bootstrap nodes; what they had sent is final or void when it returns. */
export async function stopStorage(cast: Cast): Promise<void> {
  for (const role of ['peer', 'bootstrap'] as const) {
    await Promise.all(cast.network.running.nodesOf(role).map((node) => node.stop()))
  }
  await untilEpoch(cast, (await epochNow(cast)) + 2)
}

/** Four contracts of eight slots, on eight peers. */
export async function putFiles({ client, network }: Cast): Promise<void> {
  for (let number = 1; number <= FILES; number++) {
    const source = join(network.options.data, `file-${number}.bin`)
    await writeFile(source, randomBytes(FILE_BYTES))
    await client.put({
      files: [{ source, path: `file-${number}.bin` }],
      redundancy: { k: 4, n: 8 },
      termEpochs: TERM_EPOCHS,
    })
  }
}

/** Until every peer has proven an epoch that counts for each of its slots. */
export async function untilEarning(cast: Cast): Promise<void> {
  const since = await epochNow(cast)
  const peers = cast.network.running.nodesOf('peer')
  await until('every peer to earn on every slot', async () => {
    for (const peer of peers) {
      const { record } = (await cast.chain.node(fromHex(addressOfNode(peer)))) ?? {}
      if (!record || record.log.at(-1)?.passed !== true || record.A < since + 2) return false
    }
    return true
  })
}

const slotsFolder = ({ network }: Cast, peer: ChildNode) =>
  join(network.options.data, peer.name, 'slots')

/**
 * Two peers with a slot of every file, whom anyone can dial. A put that some peer answers too late
 * goes on without it, so who they are shows only afterwards.
 */
export async function holdersOfAll(cast: Cast): Promise<[ChildNode, ChildNode]> {
  const { running } = cast.network
  const hidden = running.undialable()
  const holders: ChildNode[] = []
  for (const peer of running.nodesOf('peer').filter((one) => !hidden.includes(one))) {
    const node = await cast.chain.node(fromHex(addressOfNode(peer)))
    const rails = node ? await cast.chain.railsOfNode(node.index) : []
    if (rails.length === FILES) holders.push(peer)
  }
  const [first, second] = holders
  if (!first || !second) throw new Error('fewer than two peers took a slot of every file')
  return [first, second]
}

/** The disk of a peer loses every slot while the peer goes on. */
export async function dropSlots(cast: Cast, peer: ChildNode): Promise<number> {
  const folder = slotsFolder(cast, peer)
  const slots = await readdir(folder)
  for (const slot of slots) await rm(join(folder, slot, 'data'))
  return slots.length
}

/** Epochs in which a peer's process stood still, first and last. */
export interface Nap {
  readonly from: number
  readonly to: number
}

/**
 * Stops a peer until a challenge that it could not see has lapsed, and not until three have: one of
 * the epoch after the next at the latest, since what we see of the chain may lag by one.
 */
export async function nap(cast: Cast, peer: ChildNode): Promise<Nap> {
  const { pid } = peer
  if (pid === undefined) throw new Error(`${peer.name} is not running`)
  process.kill(pid, 'SIGSTOP')
  try {
    const from = await epochNow(cast)
    await untilEpoch(cast, from + 2 + WINDOW)
    return { from, to: await epochNow(cast) }
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/** Nobody here says that a node has its strikes: the validators do. */
export async function untilEvicted({ chain }: Cast, peer: ChildNode): Promise<void> {
  const address = fromHex(addressOfNode(peer))
  const isEvicted = async () => (await chain.node(address))?.record.evicted
  await until(`${peer.name} to be evicted`, isEvicted, 120_000)
}

/** The payer takes its rails back from a node: asks, waits the window, settles. */
export async function closeRails(cast: Cast, peer: ChildNode): Promise<number> {
  const { chain, owner } = cast
  const node = await chain.node(fromHex(addressOfNode(peer)))
  if (!node) throw new Error(`${peer.name} has no record`)
  const rails = await chain.railsOfNode(node.index)
  const sendAll = async () => {
    for (const { index, record } of rails) {
      const value = { kind: CloseKind.rail, target: index, generation: record.generation }
      await owner.send({ selector: PayloadKind.close, value })
    }
  }
  await sendAll()
  await untilEpoch(cast, (await epochNow(cast)) + WINDOW)
  await sendAll()
  return rails.length
}
