import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, bytesToHex, fromHex } from '@ioex/chain/bytes'
import { CloseKind, NONE, PayloadKind } from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import { type ChainClient, OwnerAccount, refusalCode } from '@ioex/storage-node/node'
import type { DeliverResult, PutResult, StorageClient } from '@ioex/storage-node/scheduler'
import type { ChildNode } from '../devnet/child-node.ts'
import type { LocalNetwork } from '../devnet/local-network.ts'
import { type DemoFile, sha256Of } from './demo-file.ts'
import { allReceipts, figuresByNode, type NodeFigures, totalOf } from './ledger-figures.ts'
import type { StoryTeller } from './story-teller.ts'

/** Everybody who takes part. */
export interface Cast {
  readonly network: LocalNetwork
  readonly rpc: RpcClient
  readonly chain: ChainClient
  /** The consumer's own access to the network, paid from the wallet. */
  readonly consumer: StorageClient
  readonly consumerKey: Uint8Array
  readonly teller: StoryTeller
}

/** Something that should have happened by now has not. */
export class StoryError extends Error {
  override name = 'StoryError'
}

/** Epochs that the file is paid for: longer than the demo, short enough to see in numbers. */
const TERM_EPOCHS = 60
/** Epochs within which anything the story waits for must happen. */
const PATIENCE_EPOCHS = 16
const POLL_MS = 500
/** Pay for less is worth less than the byte fee of redeeming it, so nodes let it stand. */
const BYTES_WORTH_REDEEMING = 2 ** 20

export async function backUp(cast: Cast, file: DemoFile): Promise<PutResult> {
  const { consumer, teller } = cast
  teller.chapter(`Back up ${file.name} over home peers`)
  const result = await consumer.put({
    files: [{ source: file.path, path: file.name }],
    termEpochs: TERM_EPOCHS,
    onProgress: ({ phase, bytes, bytesTotal }) => teller.progress(bytes, bytesTotal, phase),
  })
  const { k, n, contracts, relayed } = result
  teller.done(
    `${n} slots on ${n} peers, any ${k} bring it back; contract ${contracts.join(', ')}; ` +
      `${relayed} of them reached through a relay`,
  )
  return result
}

/** Two peers that nobody can dial: one sends the other a file through a bootstrap node. */
export async function deliver(cast: Cast, file: DemoFile): Promise<DeliverResult> {
  const { network, teller } = cast
  teller.chapter('Deliver it between two peers that cannot dial each other')
  const [from, to] = network.undialable()
  if (!from || !to) throw new StoryError('the network has no two undialable peers')
  teller.progress(0, 1, `${from.name} to ${to.name}`)
  const result = (await from.ask('deliver', {
    to: to.info.nodeKey,
    source: file.path,
    name: file.name,
  })) as DeliverResult
  if (result.sha256 !== file.sha256) throw new StoryError('the delivered file differs')
  if (result.relay === undefined) throw new StoryError('the delivery did not go over a relay')
  teller.done(`${result.relayKib} KiB over a relay, paid by voucher on rail ${result.relayRail}`)
  return result
}

/** Until every slot has answered a challenge drawn from main-chain work. */
export async function awaitProofs(cast: Cast, put: PutResult): Promise<void> {
  const { teller } = cast
  teller.chapter('Wait for challenges from main-chain work, answered with proofs')
  const nodes = put.nodes.map((key) => bytesToHex(addressOf(fromHex(key))))
  await untilLedger(cast, 'every peer of the file to prove its slot', ({ byNode }) => {
    const proven = nodes.filter((node) => (byNode.get(node)?.proofs ?? 0) > 0).length
    teller.progress(proven, nodes.length, 'peers proven')
    return proven === nodes.length
  })
  teller.done(`${nodes.length} peers have proven what they store`)
}

/** Kills n - k of the file's peers as a power cut would; they stay dead. */
export async function killPeers(cast: Cast, put: PutResult): Promise<ChildNode[]> {
  const { network, teller } = cast
  teller.chapter(`Kill ${put.n - put.k} of the file's ${put.n} peers with -9`)
  const holders = new Set(put.nodes)
  const victims = network
    .nodesOf('peer')
    .filter(({ info }) => holders.has(info.nodeKey as string))
    .slice(0, put.n - put.k)
  for (const victim of victims) await victim.kill()
  teller.done(victims.map(({ name }) => name).join(', '))
  return victims
}

export async function restore(cast: Cast, file: DemoFile): Promise<number> {
  const { consumer, network, teller } = cast
  teller.chapter('Restore it from the peers that are left')
  const folder = join(network.data, 'restored')
  await mkdir(folder, { recursive: true })
  const target = join(folder, file.name)
  await rm(target, { force: true })
  const result = await consumer.get({
    path: file.name,
    target,
    onProgress: ({ phase, bytes, bytesTotal }) => teller.progress(bytes, bytesTotal, phase),
  })
  if ((await sha256Of(target)) !== file.sha256) throw new StoryError('the restored file differs')
  teller.done(`${result.bytes} bytes from ${result.peers} peers, byte for byte the same`)
  return result.bytes
}

export interface Settlement {
  /** Last epoch whose pay is complete. */
  readonly epoch: number
  readonly figures: ReadonlyMap<string, NodeFigures>
  readonly total: NodeFigures
}

/**
 * Until pay has moved, subsidies were minted, the relay was paid and the dead have forfeited. The
 * consumer asks to close its rails on dead peers, which makes their misses count.
 */
export async function settle(
  cast: Cast,
  file: DemoFile,
  put: PutResult,
  victims: readonly ChildNode[],
): Promise<Settlement> {
  const { teller } = cast
  teller.chapter('Wait for epochs to close: redeems, burns, subsidies, forfeits')
  const dead = victims.map(({ info }) => bytesToHex(addressOf(fromHex(info.nodeKey as string))))
  const closer = new RailCloser(cast, put)
  const settled = await untilLedger(cast, 'the books', async (ledger) => {
    const { total, byNode, epoch } = ledger
    const forfeited = dead.filter((node) => (byNode.get(node)?.forfeits ?? 0) > 0)
    if (forfeited.length < dead.length) {
      await closer.closeRailsOf(
        dead.filter((node) => !forfeited.includes(node)),
        epoch,
      )
    }
    const wanted: [string, boolean][] = [['forfeits', forfeited.length === dead.length]]
    if (file.bytes >= BYTES_WORTH_REDEEMING) {
      wanted.push(
        ['storage receipts', total.storageReceipts > 0],
        ['relay receipts', total.relayReceipts > 0],
        ['pay', total.paid > 0n],
        ['subsidy', total.subsidy > 0n],
      )
    }
    const missing = wanted.filter(([, met]) => !met).map(([name]) => name)
    teller.progress(wanted.length - missing.length, wanted.length, `epoch ${epoch}`)
    return missing.length === 0 || missing.join(', ')
  })
  teller.done(
    `${settled.total.storageReceipts} storage and ${settled.total.relayReceipts} relay receipts`,
  )
  return { epoch: settled.epoch - 1, figures: settled.byNode, total: settled.total }
}

export interface AnchorFound {
  readonly epoch: number
  readonly mainHeight: number
}

/** Until the checkpoint of the epoch, or a later one, is recorded from the main chain. */
export async function awaitAnchor(cast: Cast, epoch: number): Promise<AnchorFound> {
  const { rpc, teller } = cast
  teller.chapter('Wait until the main chain holds a checkpoint that commits to all this')
  for (const end = (await cast.chain.head()).epoch + PATIENCE_EPOCHS; ; ) {
    const status = await rpc.call('anchor_getStatus', {})
    if (status.epoch !== null && status.mainHeight !== null && status.epoch >= epoch) {
      teller.done(`epoch ${status.epoch} in main block ${status.mainHeight}`)
      return { epoch: status.epoch, mainHeight: status.mainHeight }
    }
    teller.progress(status.epoch ?? 0, epoch, 'anchored epoch')
    if (status.currentEpoch > end) throw new StoryError(`no anchor covers epoch ${epoch}`)
    await pause()
  }
}

interface LedgerNow {
  readonly epoch: number
  readonly byNode: ReadonlyMap<string, NodeFigures>
  readonly total: NodeFigures
}

/** True, or what is still missing. */
type Verdict = boolean | string

/** Reads all receipts until the condition holds; patience is counted in epochs. */
async function untilLedger(
  cast: Cast,
  what: string,
  holds: (now: LedgerNow) => Verdict | Promise<Verdict>,
): Promise<LedgerNow> {
  const start = (await cast.chain.head()).epoch
  for (;;) {
    const { epoch } = await cast.chain.head()
    const byNode = figuresByNode(await allReceipts(cast.rpc))
    const now = { epoch, byNode, total: totalOf(byNode.values()) }
    const verdict = await holds(now)
    if (verdict === true) return now
    if (epoch > start + PATIENCE_EPOCHS) {
      const missing = verdict === false ? '' : ` (missing: ${verdict})`
      throw new StoryError(`waited ${PATIENCE_EPOCHS} epochs in vain for ${what}${missing}`)
    }
    await pause()
  }
}

/** Sends `close` for rails on dead peers, each at most once per epoch. */
class RailCloser {
  readonly #cast: Cast
  readonly #owner: OwnerAccount
  readonly #put: PutResult
  #lastEpoch: number | undefined

  constructor(cast: Cast, put: PutResult) {
    this.#cast = cast
    this.#owner = new OwnerAccount(cast.chain, cast.consumerKey)
    this.#put = put
  }

  /**
   * A challenge lapses only when its window is over, so the first call just marks the time.
   */
  async closeRailsOf(nodes: readonly string[], epoch: number): Promise<void> {
    const { params } = this.#cast.chain
    this.#lastEpoch ??= epoch + params.proofWindowEpochs
    if (epoch <= this.#lastEpoch) return
    this.#lastEpoch = epoch
    for (const index of this.#put.contracts) await this.#closeIn(index, nodes)
  }

  async #closeIn(index: number, nodes: readonly string[]): Promise<void> {
    const { chain } = this.#cast
    const contract = await chain.contract(index)
    for (const { rail } of contract?.rails ?? []) {
      if (rail === NONE) continue
      const record = await chain.rail(rail)
      const node = record && (await chain.nodeAt(record.node))
      if (!record?.live || !node || !nodes.includes(bytesToHex(addressOf(node.nodeKey)))) continue
      try {
        const value = { kind: CloseKind.rail, target: rail, generation: record.generation }
        await this.#owner.send({ selector: PayloadKind.close, value })
      } catch (error) {
        // Asked already, or the challenge is still open: the next epoch will tell.
        if (refusalCode(error) === undefined) throw error
      }
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS))
}
