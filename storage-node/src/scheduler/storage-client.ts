import { join } from 'node:path'
import { bytesEqual, bytesToHex, publicKeyOf, utf8ToBytes } from '@ioex/chain/bytes'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ChainRefusal } from '../node/chain-client.ts'
import { OwnerAccount } from '../node/transactions.ts'
import { PeerNetwork } from '../relay/peer-network.ts'
import { type FileStatus, fileStatus } from '../repair/file-status.ts'
import { repairContract } from '../repair/repair-contract.ts'
import type {
  ContractRepair,
  RepairOptions,
  RepairRequest,
  RepairResult,
} from '../repair/repair-interfaces.ts'
import { openRepairKeys, type RepairKeys, repairKeys } from '../repair/repair-keys.ts'
import type { Repairer } from '../repair/repair-run.ts'
import { ChannelOpener } from '../transfer/channel-opener.ts'
import { FILE_NAME_BYTES_MAX } from '../transfer/messages.ts'
import { deliverFile, hashOf } from '../transfer/provider-client.ts'
import type { RailPayer } from '../transfer/rail-payer.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import { ChannelPool, OfferBook } from './channel-pool.ts'
import {
  type Catalog,
  type CatalogOptions,
  isReadable,
  readCatalog,
  readManifests,
  storedFiles,
} from './file-catalog.ts'
import { getFile } from './get-file.ts'
import { type OwnPack, ownPacks } from './own-packs.ts'
import { deviceId, masterSecret } from './owner-secrets.ts'
import type { Market } from './peer-market.ts'
import { type Closing, RailCloser } from './rail-closer.ts'
import { askToClose, fileUnknown, planRemoval, tombstoneTerm } from './remove-file.ts'
import { putFiles } from './put-files.ts'
import { PutJournals } from './put-journal.ts'
import { readRange } from './put-plan.ts'
import {
  type DeliverRequest,
  type DeliverResult,
  type GetRequest,
  type GetResult,
  type PutRequest,
  type PutResult,
  type RemoveResult,
  type StorageClient,
  type StorageClientOptions,
  StorageError,
  type StoredFile,
} from './storage-interfaces.ts'
import type { StripeReaderOptions } from './stripe-reader.ts'
import { TOP_UP_UNITS_MAX, TrafficTopUp } from './traffic-top-up.ts'

/** Creates an owner's access to the network: see StorageClient. */
export async function createStorageClient(options: StorageClientOptions): Promise<StorageClient> {
  const { chain, nodeKey, bootstrap, logger } = options
  const network =
    options.network ??
    (await PeerNetwork.start({ chainId: chain.chainId, nodeKey, bootstrap, logger }))
  return new OwnerStorage(options, network, await deviceId(options.dataDir))
}

class OwnerStorage implements StorageClient {
  readonly #options: StorageClientOptions
  readonly #network: PeerNetwork
  readonly #device: Uint8Array
  readonly #master: Uint8Array
  readonly #account: OwnerAccount
  readonly #offers: OfferBook
  readonly #opener: ChannelOpener
  readonly #journals: PutJournals
  readonly #closer: RailCloser
  readonly #payers = new Map<string, RailPayer>()

  constructor(options: StorageClientOptions, network: PeerNetwork, device: Uint8Array) {
    const { chain, ownerKey, nodeKey, logger } = options
    this.#options = options
    this.#network = network
    this.#device = device
    this.#master = masterSecret(ownerKey)
    this.#account = new OwnerAccount(chain, ownerKey)
    this.#closer = new RailCloser(chain, this.#account, logger)
    this.#offers = new OfferBook(network)
    this.#opener = new ChannelOpener({
      chain,
      network,
      identity: { chainId: chain.chainId, nodeKey, ownerKey },
      ownerKey,
      account: this.#account,
      logger,
    })
    this.#journals = new PutJournals(join(options.dataDir, 'puts'))
  }

  put(request: PutRequest): Promise<PutResult> {
    return this.#run(async (pool) => {
      const { chain, ownerKey, logger } = this.#options
      const result = await putFiles(
        {
          market: this.#market(pool),
          chain,
          account: this.#account,
          ownerKey,
          master: this.#master,
          device: this.#device,
          journals: this.#journals,
          packBytes: this.#options.packBytes,
          newestSequence: () => this.#newestSequence(),
          logger,
        },
        request,
      )
      // The file is safe; money that comes back later is no reason to say otherwise.
      await this.#closer.run().catch((error: unknown) => {
        logger.warn({ reason: reasonOf(error) }, 'own rails not closed')
      })
      return result
    })
  }

  closeEnded(): Promise<Closing> {
    return this.#closer.run()
  }

  repair(request: RepairRequest): Promise<RepairResult> {
    return this.#run(async (pool) => {
      const topUp = this.#topUp(request.topUpMax)
      const reader = { ...this.#reader(pool), topUp }
      const packs = (await this.#packs()).filter(isReadable)
      const wanted =
        request.path === undefined ? undefined : await this.#contractsOf(reader, request.path)
      const contracts: ContractRepair[] = []
      for (const pack of packs) {
        if (wanted && !wanted.includes(pack.contract)) continue
        const { contract, record, secrets } = pack
        const of = { contract, salt: record.salt, slotKeys: secrets.slotKeys, isPayer: true }
        const repairer = this.#repairer(reader, of, record.delegate)
        contracts.push(await repairContract(repairer, request))
      }
      return { contracts, toppedUpUnits: topUp.units }
    })
  }

  repairFor(keys: readonly RepairKeys[], options: RepairOptions): Promise<RepairResult> {
    return this.#run(async (pool) => {
      const reader = this.#reader(pool)
      const contracts: ContractRepair[] = []
      for (const one of keys) {
        const opened = openRepairKeys(one)
        if (!opened) throw new StorageError('RANGE', 'these are no repair keys: export them again')
        const record = await this.#options.chain.contract(opened.contract)
        const isThere = record?.live && bytesEqual(record.salt, opened.salt)
        if (!isThere || !bytesEqual(record.delegate, this.#account.address)) {
          const message = `contract ${opened.contract} is gone, or has another delegate`
          throw new StorageError('NOT_FOUND', message)
        }
        const repairer = this.#repairer(reader, { ...opened, isPayer: false }, record.delegate)
        contracts.push(await repairContract(repairer, options))
      }
      // Reading is the pot's expense here.
      return { contracts, toppedUpUnits: 0n }
    })
  }

  repairKeys(path: string): Promise<RepairKeys[]> {
    return this.#run(async (pool) => {
      const wanted = await this.#contractsOf(this.#reader(pool), path)
      const packs = await this.#packs()
      return packs
        .filter(({ contract }) => wanted.includes(contract))
        .map(({ contract, record }) => repairKeys(this.#master, contract, record))
    })
  }

  status(path: string): Promise<FileStatus> {
    return this.#run(async (pool) => {
      const reader = this.#reader(pool)
      const file = (await this.#catalog(reader)).get(path)
      const size = file?.versions[0]?.parts[0]?.entry.size
      if (!file || file.removed || size === undefined) throw fileUnknown(path)
      const contracts = await this.#contractsOf(reader, path)
      return fileStatus(this.#options.chain, { path, size }, contracts)
    })
  }

  async remove(path: string): Promise<RemoveResult> {
    const { chain } = this.#options
    const found = await this.#run(async (pool) => {
      const packs = (await this.#packs()).filter(isReadable)
      const stored = await readManifests(this.#catalogOptions(this.#reader(pool)), packs)
      const removal = planRemoval(stored, path)
      if (!removal) throw fileUnknown(path)
      return { ...removal, isComplete: stored.length === packs.length }
    })
    const { close, keep, isComplete } = found
    let tombstone: number | undefined
    // A pack that cannot be read now might hold an older version, which must not come back.
    if (keep.length > 0 || !isComplete) {
      const { epoch } = await chain.head()
      const termEpochs = tombstoneTerm(chain, [...keep, ...close], epoch)
      tombstone = (await this.put({ files: [], remove: [path], termEpochs })).contracts[0]
    }
    const refundMost = await this.#run(() => askToClose(chain, this.#account, close))
    const indexes = (packs: readonly OwnPack[]) => packs.map(({ contract }) => contract)
    return { path, closing: indexes(close), kept: indexes(keep), tombstone, refundMost }
  }

  get(request: GetRequest): Promise<GetResult> {
    return this.#run(async (pool) => {
      const topUp = this.#topUp(request.topUpMax)
      const reader = { ...this.#reader(pool), topUp }
      const version = (await this.#catalog(reader)).get(request.path)
      const newest = version?.removed ? undefined : version?.versions[0]
      if (!newest) throw fileUnknown(request.path)
      const paidBefore = this.#paidKib()
      const { bytes, sha256 } = await getFile(reader, { version: newest, request })
      const { used, lost } = reader.figures
      request.onProgress?.({
        phase: 'done',
        bytes,
        bytesTotal: bytes,
        peers: used.size,
        peersLost: lost,
      })
      return {
        bytes,
        sha256: bytesToHex(sha256),
        peers: used.size,
        peersLost: lost,
        relayed: pool.relayed.size,
        paidKib: this.#paidKib() - paidBefore,
        toppedUpUnits: topUp.units,
        toppedUpRails: topUp.rails,
      }
    })
  }

  list(): Promise<StoredFile[]> {
    return this.#run(async (pool) => storedFiles(await this.#catalog(this.#reader(pool))))
  }

  deliver(request: DeliverRequest): Promise<DeliverResult> {
    return this.#run(async (pool) => {
      const name = utf8ToBytes(basename(request.name))
      if (name.length > FILE_NAME_BYTES_MAX) {
        throw new StorageError('RANGE', `a file name has at most ${FILE_NAME_BYTES_MAX} bytes`)
      }
      const { size } = await stat(request.source).catch((error: unknown) => {
        throw new StorageError('FILE_MISSING', `there is no file ${request.source}`, error)
      })
      const { sha256 } = await hashOf(readRange(request.source, 0, size))
      const friend = await this.#offers.of(request.to)
      const channel = await pool.acquire(friend, size * 1.03)
      const report = (bytes: number) => {
        request.signal?.throwIfAborted()
        const phase = bytes === size ? 'done' : 'sending'
        request.onProgress?.({ phase, bytes, bytesTotal: size, peers: 1, peersLost: 0 })
      }
      try {
        const open = (offset: number) => readRange(request.source, offset, size - offset)
        await deliverFile(channel.channel, { name, size, sha256 }, open, report)
      } catch (error) {
        pool.discard(channel)
        throw error
      }
      pool.release(friend, channel)
      const { relay } = channel
      return {
        bytes: size,
        sha256: bytesToHex(sha256),
        relayRail: relay?.rail,
        relay: relay && bytesToHex(relay.nodeKey),
        relayKib: relay ? Math.ceil(relay.legBytes() / 1024) : 0,
      }
    })
  }

  async unfinished() {
    const journals = await this.#journals.all()
    return journals.map(({ packs, files }) => ({
      contracts: packs.flatMap(({ contract }) => (contract === undefined ? [] : [contract])),
      paths: files.map(({ path }) => path),
    }))
  }

  async close(): Promise<void> {
    if (!this.#options.network) await this.#network.stop()
  }

  /** Runs one request with channels of its own; what it throws says what to do. */
  async #run<T>(request: (pool: ChannelPool) => Promise<T>): Promise<T> {
    const pool = new ChannelPool(this.#opener, this.#offers)
    try {
      return await request(pool)
    } catch (error) {
      throw storageError(error)
    } finally {
      await pool.closeAll()
    }
  }

  #reader(pool: ChannelPool): StripeReaderOptions {
    const { chain, ownerKey, logger } = this.#options
    const figures = { used: new Set<string>(), lost: 0 }
    return { chain, ownerKey, logger, offers: this.#offers, pool, payers: this.#payers, figures }
  }

  #topUp(unitsMax = TOP_UP_UNITS_MAX): TrafficTopUp {
    return new TrafficTopUp(this.#options.chain, this.#account, unitsMax)
  }

  async #packs() {
    const { chain, logger } = this.#options
    return ownPacks(chain, this.#account.address, this.#master, logger)
  }

  async #catalog(reader: StripeReaderOptions): Promise<Catalog> {
    return readCatalog(this.#catalogOptions(reader), await this.#packs())
  }

  #catalogOptions(reader: StripeReaderOptions): CatalogOptions {
    const cacheDir = join(this.#options.dataDir, 'manifests')
    return { ...reader, master: this.#master, cacheDir }
  }

  /** Contracts that hold the current version of a file. Throws NOT_FOUND. */
  async #contractsOf(reader: StripeReaderOptions, path: string): Promise<number[]> {
    const file = (await this.#catalog(reader)).get(path)
    const parts = file?.removed ? undefined : file?.versions[0]?.parts
    if (!parts) throw fileUnknown(path)
    return [...new Set(parts.map(({ contract }) => contract.contract))]
  }

  /** As the contract's payer, or as its delegate alone. */
  #repairer(
    reader: StripeReaderOptions,
    of: Pick<Repairer, 'contract' | 'salt' | 'slotKeys' | 'isPayer'>,
    delegate: Uint8Array,
  ): Repairer {
    const { chain, ownerKey, logger, dataDir } = this.#options
    const isDelegate = bytesEqual(delegate, this.#account.address)
    const { isPayer } = of
    return {
      ...of,
      chain,
      market: this.#market(reader.pool),
      reader,
      grantKey: ownerKey,
      pot: isDelegate ? { delegateKey: ownerKey, isPayer, logger } : undefined,
      journals: join(dataDir, 'repairs'),
      logger,
    }
  }

  #market(pool: ChannelPool): Market {
    const { chain, nodeKey, logger } = this.#options
    return { chain, offers: this.#offers, pool, ownNodeKey: publicKeyOf(nodeKey), logger }
  }

  async #newestSequence(): Promise<number> {
    const packs = await this.#packs()
    return packs.reduce((newest, { label }) => Math.max(newest, label.sequence), 0)
  }

  #paidKib(): number {
    return [...this.#payers.values()].reduce((sum, { signedKib }) => sum + signedKib, 0)
  }
}

function storageError(error: unknown): unknown {
  if (error instanceof StorageError) return error
  if (error instanceof Error && error.name === 'AbortError') {
    return new StorageError('ABORTED', 'stopped as asked; the same call goes on from here', error)
  }
  if (error instanceof ChainRefusal) {
    return new StorageError('CHAIN_REFUSED', `${error.code}: ${error.message}`, error)
  }
  // Errors of the operating system name the call that failed: here they are the disk's.
  if (error instanceof Error && 'syscall' in error) {
    return new StorageError('DISK', `the disk refused: ${error.message}`, error)
  }
  return error
}
