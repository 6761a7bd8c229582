import { bytesEqual, bytesToHex } from '@ioex/chain/bytes'
import { LABEL_VERSION, LabelKind } from '../manifest/pack-label.ts'
import type { PackPlan } from '../manifest/plan-packs.ts'
import { sealLabel, sealPack } from '../sealing/pack-secrets.ts'
import { packGeometry, type PackGeometry, SLOTS_MAX } from '../slicing/pack-geometry.ts'
import { type PackToUpload, sendPack, settlePack, type UploadOptions } from './pack-upload.ts'
import type { Candidate } from './peer-choice.ts'
import { choosePeers, chooseShards, type Placement } from './peer-market.ts'
import { contractFor, newSalt, renewLapsed } from './put-contract.ts'
import type { PutJournal } from './put-journal.ts'
import {
  packBytesFor,
  packContents,
  planPut,
  putFingerprint,
  readSources,
  type SourceFile,
  statSources,
} from './put-plan.ts'
import { PutProgress } from './put-progress.ts'
import type { Put, PutOptions } from './put-run.ts'
import { type PutRequest, type PutResult, StorageError } from './storage-interfaces.ts'

/** Contracts opened for one pack by one put, where the fill deadline overtakes it each time. */
const CONTRACTS_PER_PACK_MAX = 3
/**
 * Stores files: see StorageClient.put. An interrupted put of the same files goes on. A contract
 * whose fill deadline passes meanwhile, as on a busy machine, is replaced by another one; packs
 * that are stored already stay where they are.
 */
export async function putFiles(options: PutOptions, request: PutRequest): Promise<PutResult> {
  for (let opened = 1; ; opened++) {
    try {
      return await putOnce(options, request)
    } catch (error) {
      const hasLapsed = error instanceof StorageError && error.code === 'CONTRACT_INACTIVE'
      if (!hasLapsed || opened === CONTRACTS_PER_PACK_MAX) throw error
      options.logger.warn({ opened, reason: error.message }, 'the put starts over')
    }
  }
}

/** One go, up to the end of the journal of these files. */
async function putOnce(options: PutOptions, request: PutRequest): Promise<PutResult> {
  const meter = new PutProgress(request)
  const sources = await statSources(request.files)
  meter.total(sources.reduce((sum, { size }) => sum + size, 0))
  const fingerprint = putFingerprint(sources, request.remove ?? [])
  const { placement, journal } = await prepare(options, request, { sources, fingerprint, meter })
  meter.peers(placement.n)
  const put = { options, request, journal, placement, meter }
  await renewLapsed(put)
  const { locked, storedBytes } = await uploadAll(put)
  await options.journals.delete(fingerprint)
  meter.done()
  return {
    contracts: journal.packs.flatMap(({ contract }) => (contract === undefined ? [] : [contract])),
    bytes: meter.bytesTotal,
    storedBytes,
    k: placement.k,
    n: placement.n,
    nodes: placement.nodes.map(({ offer }) => bytesToHex(offer.nodeKey)),
    lockedUnits: locked,
    relayed: options.market.pool.relayed.size,
  }
}

/**
 * Uploads pack after pack; while the fills of one are awaited, the next is being sent. Where one
 * fails, the packs under way are let finish first: what is on the chain stays.
 */
async function uploadAll(put: Put): Promise<{ locked: bigint; storedBytes: number }> {
  const { options, journal } = put
  let locked = 0n
  let storedBytes = 0
  let settling: Promise<void> = Promise.resolve()
  try {
    for (const [pack, planned] of plannedPacks(put).entries()) {
      const { label, ...unopened } = planned
      storedBytes += unopened.geometry.slotBytes * unopened.geometry.n
      const contract = await contractFor(put, pack, planned.geometry, label)
      locked += contract.cost
      const upload = { ...unopened, contract: contract.index }
      const uploading = uploadOptions(put, upload)
      const granted = await sendPack(uploading, upload)
      settling = settling.then(async () => {
        await settlePack(uploading, upload, granted)
        const state = journal.packs[pack]
        if (state) state.done = true
        await options.journals.save(journal)
      })
      // Awaited below; until then its failure has no listener.
      settling.catch(() => {})
    }
  } finally {
    await settling.catch(() => {})
  }
  await settling
  return { locked, storedBytes }
}

/** Chooses peers and reads the files, or takes up the journal of the same put. */
async function prepare(
  options: PutOptions,
  request: PutRequest,
  found: { sources: SourceFile[]; fingerprint: string; meter: PutProgress },
): Promise<{ placement: Placement; journal: PutJournal }> {
  const { sources, fingerprint, meter } = found
  const { market } = options
  const remove = request.remove ?? []
  const earlier = await options.journals.find(fingerprint)
  const wanted = checkedShards(earlier ?? request.redundancy)
  const bytesOf = (k: number) =>
    slotBytesOf(planPut(sources, remove, k, packBytesOf(options, k)), k)
  const { redundancy, candidates } = await chooseShards(market, bytesOf, wanted, request.tags)
  const plans = planPut(sources, remove, redundancy.k, packBytesOf(options, redundancy.k))
  meter.phase('reading')
  const files = await readSources(sources, plans, (bytes) => meter.read(bytes))
  const resumed = earlier && isSame(earlier, files) ? earlier : undefined
  meter.phase('opening')
  const affordable = candidates.filter(({ offer }) => !resumed || offer.price <= resumed.priceCap)
  const ordered = resumed ? asBefore(affordable, resumed.nodes) : affordable
  const placement = await choosePeers(market, redundancy, ordered, bytesOf(redundancy.k))
  if (resumed) {
    keepSeats(placement, resumed.nodes)
    return { placement, journal: resumed }
  }
  const all = [...placement.nodes, ...placement.spares]
  const journal: PutJournal = {
    fingerprint,
    device: options.device,
    sequence: (await options.newestSequence()) + 1,
    createdMs: Date.now(),
    ...redundancy,
    termEpochs: request.termEpochs,
    priceCap: highest(all, ({ offer }) => offer.price),
    unitPriceCap: highest(all, ({ offer }) => offer.unitPrice),
    sources,
    files,
    remove,
    packs: plans.map(() => ({ salt: newSalt(), contract: undefined, done: false })),
    nodes: placement.nodes.map(({ offer }) => bytesToHex(offer.nodeKey)),
  }
  await options.journals.save(journal)
  return { placement, journal }
}

function packBytesOf({ chain, packBytes }: PutOptions, k: number): number {
  return packBytes ?? packBytesFor(chain.params, k)
}

function checkedShards<T extends { k: number; n: number }>(wanted: T | undefined): T | undefined {
  if (!wanted) return undefined
  const { k, n } = wanted
  if (Number.isInteger(k) && Number.isInteger(n) && k >= 1 && k <= n && n <= SLOTS_MAX)
    return wanted
  throw new StorageError('RANGE', `${k} of ${n} shards is no code: 1 <= k <= n <= ${SLOTS_MAX}`)
}

/** Bytes that all packs of a put take on each of its peers. */
function slotBytesOf(plans: readonly PackPlan[], k: number): number {
  return plans.reduce((sum, { packBytes }) => sum + geometryOf(k, k, packBytes).slotBytes, 0)
}

function geometryOf(k: number, n: number, packBytes: number): PackGeometry {
  const geometry = packGeometry(k, n, packBytes)
  if (geometry.ok) return geometry.value
  throw new StorageError('RANGE', geometry.fault.message)
}

/** The content keys belong to these very contents: with others the put starts afresh. */
function isSame(journal: PutJournal, files: PutJournal['files']): boolean {
  return journal.files.every((file, i) => {
    const now = files[i]
    return now !== undefined && bytesEqual(file.sha256, now.sha256)
  })
}

/** Peers of the interrupted put first: they have part of the bytes already. */
function asBefore(candidates: readonly Candidate[], nodes: readonly string[]): Candidate[] {
  const wasNode = ({ offer }: Candidate) => nodes.includes(bytesToHex(offer.nodeKey))
  return [...candidates.filter(wasNode), ...candidates.filter((one) => !wasNode(one))]
}

/** Gives each peer of the interrupted put its slot again, where it answers. */
function keepSeats(placement: Placement, nodes: readonly string[]): void {
  const all = [...placement.nodes, ...placement.spares]
  const take = (key: string | undefined) => {
    const at = all.findIndex(({ offer }) => bytesToHex(offer.nodeKey) === key)
    return at < 0 ? undefined : all.splice(at, 1)[0]
  }
  const seated = nodes.slice(0, placement.n).map(take)
  for (let slot = 0; slot < placement.n; slot++) {
    const next = seated[slot] ?? all.shift()
    if (next) placement.nodes[slot] = next
  }
  placement.spares.splice(0, placement.spares.length, ...all)
}

function highest(all: readonly Candidate[], of: (one: Candidate) => bigint): bigint {
  return all.reduce((most, one) => (of(one) > most ? of(one) : most), 0n)
}

/** Every pack of the put, sealed and ready to be encoded, with the label of its contract. */
function plannedPacks({ journal, placement, options }: Put) {
  const { sources, files, remove, device, sequence, createdMs } = journal
  const { k, n } = placement
  const plans = planPut(sources, remove, k, packBytesOf(options, k))
  const contents = packContents(sources, files, plans, { device, sequence, createdMs })
  return contents.map(({ manifest, parts }, pack) => {
    const contractSalt = journal.packs[pack]?.salt ?? newSalt()
    const { secrets, sealedManifest, keySalt } = sealPack(options.master, contractSalt, n, manifest)
    const packBytes = plans[pack]?.packBytes ?? 0
    const label = sealLabel(options.master, contractSalt, {
      version: LABEL_VERSION,
      kind: LabelKind.pack,
      device,
      sequence,
      pack,
      packs: plans.length,
      k,
      n,
      manifestBytes: sealedManifest.length,
      packBytes,
      keySalt,
    })
    const geometry = geometryOf(k, n, packBytes)
    return { salt: contractSalt, geometry, secrets, sealedManifest, parts, label }
  })
}

function uploadOptions(put: Put, { geometry, sealedManifest }: PackToUpload): UploadOptions {
  const { options, placement, request, meter } = put
  const contentBytes = geometry.packBytes - sealedManifest.length
  meter.phase('sending')
  return {
    chain: options.chain,
    ownerKey: options.ownerKey,
    payerKey: options.account.publicKey,
    pool: options.market.pool,
    logger: options.logger,
    nodes: placement.nodes,
    spares: placement.spares,
    onBytes: (bytes) => meter.sent(Math.min(bytes, contentBytes)),
    onLost: () => meter.lost(),
    signal: request.signal,
  }
}
