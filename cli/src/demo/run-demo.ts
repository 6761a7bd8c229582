import { join } from 'node:path'
import { createRpcClient } from '@ioex/rpc/client'
import { ChainRefusal } from '@ioex/storage-node/node'
import { createStorageClient } from '@ioex/storage-node/scheduler'
import pino from 'pino'
import { auditNetwork } from '../audit/run-audit.ts'
import { genesisPath } from '../devnet/devnet-files.ts'
import type { LocalNetwork } from '../devnet/local-network.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { PassphraseSource } from '../keys/passphrase.ts'
import { readOrCreateKey } from '../nodes/key-file.ts'
import { openLightChain } from '../nodes/light-chain.ts'
import { readWallet } from '../wallet/wallet-file.ts'
import { chooseFile, type DemoFile } from './demo-file.ts'
import {
  type AnchorFound,
  awaitAnchor,
  awaitProofs,
  backUp,
  type Cast,
  deliver,
  killPeers,
  restore,
  type Settlement,
  settle,
} from './story.ts'
import type { StoryTeller } from './story-teller.ts'

/** What the demo ends with; the JSON object of `--json`. */
export interface DemoResult {
  readonly file: string
  readonly bytes: number
  /** First contract of the file. */
  readonly contract: number
  /** Bytes that came back, compared by SHA-256. */
  readonly restored: number
  readonly receipts: { readonly storage: number; readonly relay: number }
  readonly epoch: number
  /** Units, as decimal strings. */
  readonly paid: string
  readonly held: string
  readonly burned: string
  readonly minted: string
  readonly forfeits: number
  readonly killed: readonly string[]
  readonly anchor: AnchorFound
  readonly audit: 'ok'
  readonly seconds: number
}

export interface DemoOutcome {
  readonly result: DemoResult
  readonly settlement: Settlement
}

/** A larger file is backed up, but a smaller one is delivered: the relay shows the same with it. */
const DELIVERED_BYTES_MAX = 512 * 2 ** 20

/** The main job on a real file, over the running network. Throws StoryError at a failure. */
export async function runDemo(
  network: LocalNetwork,
  file: DemoFile,
  teller: StoryTeller,
): Promise<DemoOutcome> {
  const started = performance.now()
  const { cast, close } = await gatherCast(network, teller)
  try {
    const put = await backUp(cast, file)
    await deliver(cast, file.bytes <= DELIVERED_BYTES_MAX ? file : await chooseFile(undefined))
    await awaitProofs(cast, put)
    const victims = await killPeers(cast, put)
    const restored = await restore(cast, file)
    const settlement = await settle(cast, file, put, victims)
    const anchor = await awaitAnchor(cast, settlement.epoch)
    await audit(cast)
    const supply = await cast.rpc.call('chain_getSupply', {})
    const { total, epoch } = settlement
    const result: DemoResult = {
      file: file.name,
      bytes: file.bytes,
      contract: put.contracts[0] as number,
      restored,
      receipts: { storage: total.storageReceipts, relay: total.relayReceipts },
      epoch,
      paid: total.paid.toString(),
      held: total.held.toString(),
      burned: supply.burns.service,
      minted: supply.minted,
      forfeits: total.forfeits,
      killed: victims.map(({ name }) => name),
      anchor,
      audit: 'ok',
      seconds: Math.round((performance.now() - started) / 1000),
    }
    return { result, settlement }
  } finally {
    await close()
  }
}

async function gatherCast(
  network: LocalNetwork,
  teller: StoryTeller,
): Promise<{ cast: Cast; close(): Promise<void> }> {
  const genesis = await readGenesis(genesisPath(network.data))
  const options = {
    genesis,
    trustFile: join(network.data, 'consumer', 'light-trust.json'),
    refusal: (code: string, message: string) => new ChainRefusal(code, message),
  }
  const chain = await openLightChain(options, network.rpcUrls(), (message) => teller.done(message))
  const { owner } = await readWallet(
    network.data,
    new PassphraseSource({ file: process.env.IOEX_PASSPHRASE_FILE }),
  )
  const consumer = await createStorageClient({
    dataDir: join(network.data, 'consumer'),
    ownerKey: owner.secretKey,
    nodeKey: await readOrCreateKey(join(network.data, 'consumer', 'node.key')),
    chain,
    bootstrap: network.record.bootstrap,
    logger: pino({ level: process.env.IOEX_DEBUG ? 'debug' : 'silent' }, process.stderr),
  })
  const rpc = createRpcClient({ url: network.rpcUrls()[0] as string })
  return {
    cast: { network, rpc, chain, consumer, consumerKey: owner.secretKey, teller },
    async close() {
      await consumer.close()
      await chain.close()
    },
  }
}

/** Recomputes the whole chain from an export, with the genesis file as the only trust. */
async function audit({ network, rpc, teller }: Cast): Promise<void> {
  teller.chapter('Audit: recompute everything from exported blocks and the genesis file')
  const report = await auditNetwork({
    rpcUrl: rpc.url,
    genesisFile: genesisPath(network.data),
    exportFolder: join(network.data, 'audit'),
    onProgress: (done, total) => teller.progress(done, total, 'blocks'),
  })
  teller.done(`${report.blocks} blocks, ${report.receipts} receipts, every root the same`)
}
