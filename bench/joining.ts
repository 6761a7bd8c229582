import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashInto } from '@chainsafe/persistent-merkle-tree'
import { assert } from '@ioex/chain/bytes'
import { ledgerLoader, recordKey, stateRoot, stateRoots } from '@ioex/chain/state'
import { LevelStore, SnapshotDatabase } from '@ioex/chain/store'
import { checkManifest, produceSnapshot, recordPlaces, snapshotEntries } from '@ioex/chain/sync'
import { HeaderType } from '@ioex/chain/types'
import { sameGenesis } from '../chain/src/audit/testing/certified-chain.ts'
import { genesisBlock } from '../chain/src/node/open-chain.ts'
import { type Bench, type Comparison, repeated, type Scale } from './comparison.ts'
import { seededBytes } from './seeded.ts'

const ACCOUNT_BYTES = 64
const ADDRESS_BYTES = 20
const RAW_HASHES = 'each account and each node above it hashed in hashtree batches'
/** Entries that one write of the database carries. */
const BATCH = 16_384

/** Genesis' state with so many accounts instead of its own, as a database holds it. */
async function* entries(count: number) {
  const { entries: genesis } = sameGenesis()
  const others = genesis.filter(({ key }) => !key.startsWith('a'))
  yield others.map(({ key, bytes }) => ({ key, bytes: bytes as Uint8Array }))
  const addresses = seededBytes('accounts of a snapshot', count * ADDRESS_BYTES)
  for (let from = 0; from < count; from += BATCH) {
    yield Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => {
      const at = from + i
      const bytes = new Uint8Array(ACCOUNT_BYTES)
      bytes.set(addresses.subarray(at * ADDRESS_BYTES, (at + 1) * ADDRESS_BYTES))
      bytes[2 * ADDRESS_BYTES] = 1
      return { key: recordKey('accounts', at), bytes }
    })
  }
}

/** A database at rest and the snapshot of it, in one folder. */
async function prepare(folder: string, count: number) {
  const database = join(folder, 'chain')
  const blocks = [genesisBlock(sameGenesis())]
  await LevelStore.restore(database, { blocks, epochProofs: [], state: entries(count) })
  const store = await LevelStore.open(database)
  const ledger = await reprove(store)
  const header = { ...HeaderType.defaultValue(), epoch: 1, stateRoot: stateRoot(ledger) }
  const shelf = await SnapshotDatabase.open(join(folder, 'snapshots'))
  const view = store.stateView()
  const source = { view, header, roots: stateRoots(ledger), shelf, isCancelled: () => false }
  assert(await produceSnapshot(source), 'nobody ends it early')
  await view.close()
  return { store, shelf, header, blocks }
}

/** What every start does with its database. */
async function reprove(store: LevelStore) {
  const { params, chainId } = sameGenesis()
  const loader = ledgerLoader(params, chainId)
  for await (const entries of store.stateEntries()) {
    for (const entry of entries) assert(loader.add(entry).ok, 'it reads')
  }
  const ledger = loader.finish()
  assert(ledger.ok, 'it is whole')
  return ledger.value
}

async function* compare(count: number): AsyncGenerator<Comparison> {
  const folder = await mkdtemp(join(tmpdir(), 'ioex-bench-'))
  try {
    const { store, shelf, header, blocks } = await prepare(folder, count)
    const input = seededBytes('rows', count * ACCOUNT_BYTES)
    const output = new Uint8Array(input.length / 2)
    const hashAll = () => {
      // The rows, then as many nodes again over them, level by level.
      hashInto(input, output)
      hashInto(input.subarray(0, output.length), output.subarray(0, output.length / 2))
      hashInto(input.subarray(0, output.length), output.subarray(0, output.length / 2))
    }
    const against = { name: RAW_HASHES, workload: repeated(hashAll) }
    yield {
      name: `chain/node::start-up-proof/accounts=${count}`,
      unit: 'accounts',
      work: count,
      subject: repeated(async () => stateRoot(await reprove(store))),
      against,
      result: header.stateRoot,
    }
    const target = join(folder, 'restored')
    const manifest = checkManifest((await shelf.manifest(1)) as Uint8Array, header)
    assert(manifest.ok, 'we made it')
    yield {
      name: `chain/sync::snapshot-restore/accounts=${count}`,
      unit: 'accounts',
      work: count,
      subject: () => {
        rmSync(target, { recursive: true, force: true })
        const state = snapshotEntries(shelf, header)
        return () => LevelStore.restore(target, { blocks, epochProofs: [], state })
      },
      against,
      result: header.stateRoot,
      facts: { chunks: recordPlaces(manifest.value).length },
    }
    await shelf.close()
    await store.close()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  const sizes = scale.smoke ? [128] : [100_000, ...(scale.full ? [1_000_000] : [])]
  for (const count of sizes) yield* compare(count)
}

export const joining: Bench = {
  name: 'joining',
  about: 'a database proven at start and restored from a snapshot, against the bare node hashes',
  comparisons,
}
