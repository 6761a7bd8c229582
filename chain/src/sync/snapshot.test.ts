import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { CertifiedChain, eventfulChain, sameGenesis } from '../audit/testing/certified-chain.ts'
import { bytesToHex, concatBytes } from '../bytes/hex.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { StateView } from '../manager/chain-store.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { inventoryTree } from '../rules/inventory.ts'
import { rewardRoot } from '../rules/reward-tree.ts'
import { EpochType, type InventoryEntry, NodeType } from '../types/records.ts'
import { isCheckpointHeight, type NetworkParams } from '../params/network-params.ts'
import {
  createLedger,
  draftOf,
  type Ledger,
  merge,
  stateRoot,
  stateRoots,
} from '../state/ledger.ts'
import { loadLedger } from '../state/ledger-loader.ts'
import { changesOf } from '../state/state-changes.ts'
import { type StateChange, stateTags, tableNames } from '../state/record-tables.ts'
import { SnapshotDatabase } from '../store/snapshot-database.ts'
import type { Header } from '../types/consensus-objects.ts'
import { SnapshotStalledError } from './chunk-fetch.ts'
import { checkChunk, checkManifest, recordPlaces } from './snapshot-format.ts'
import { produceSnapshot } from './snapshot-producer.ts'
import {
  fetchSnapshot,
  ShelfDamagedError,
  snapshotEntries,
  snapshotOffers,
} from './snapshot-restore.ts'
import type { SnapshotShelf } from './snapshot-shelf.ts'
import { ChunksAnswerType, SyncRequestKind, SyncRequestType } from './sync-messages.ts'
import { managerOf, peersOf, serverOf } from './testing/served-chain.ts'

/** One before the last: the last one's state is that of the tip's epoch. */
const EPOCH = 4
let manager: ChainManager
const served = SnapshotDatabase.inMemory()
const headers = new Map<number, Header>()
/** The entries that the database held at each checkpoint. */
const entriesAt = new Map<number, StateChange[]>()

beforeAll(async () => {
  await installNativeCrypto()
  manager = await managerOf(eventfulChain(), async (at) => {
    const { header } = at.final
    if (!isCheckpointHeight(at.params, header.height)) return
    headers.set(header.epoch, header)
    const entries: StateChange[] = []
    for await (const batch of at.store.stateEntries()) entries.push(...batch)
    entriesAt.set(header.epoch, entries)
    const view = at.store.stateView()
    const roots = stateRoots(at.ledger)
    const source = { view, header, roots, shelf: served, isCancelled: () => false }
    expect(await produceSnapshot(source)).toBe(true)
    await view.close()
  })
}, 60_000)

const header = () => headers.get(EPOCH) as Header
const answerOf = () => {
  const server = serverOf(manager, { shelf: served })
  return (request: Uint8Array) => server.answer(request)
}

/** Answers as an honest peer but for the chunks, which `spoil` changes. */
function liar(spoil: (chunk: Uint8Array) => Uint8Array) {
  const honest = answerOf()
  return async (request: Uint8Array) => {
    const bytes = await honest(request)
    if (SyncRequestType.deserialize(request).kind !== SyncRequestKind.chunks) return bytes
    const answer = ChunksAnswerType.deserialize(bytes)
    return ChunksAnswerType.serialize({
      ...answer,
      chunks: answer.chunks.map((chunk) => spoil(chunk)),
    })
  }
}

const flipped = (chunk: Uint8Array, at = chunk.length - 1, by = 1) => {
  const other = Uint8Array.from(chunk)
  other[at] = (other[at] as number) ^ by
  return other
}

async function restoredFrom(shelf: SnapshotShelf): Promise<{ ledger: Ledger; keys: string[] }> {
  const entries: StateChange[] = []
  for await (const batch of snapshotEntries(shelf, header())) entries.push(...batch)
  const { params, chainId } = sameGenesis()
  const ledger = loadLedger(params, chainId, entries)
  if (!ledger.ok) throw new Error(ledger.fault.message)
  return { ledger: ledger.value, keys: entries.map(({ key }) => key).sort() }
}

async function expectWhole(shelf: SnapshotShelf): Promise<void> {
  const { ledger, keys } = await restoredFrom(shelf)
  expect(bytesToHex(stateRoot(ledger))).toBe(bytesToHex(header().stateRoot))
  expect(keys).toEqual(
    entriesAt
      .get(EPOCH)
      ?.map(({ key }) => key)
      .sort(),
  )
}

/** More accounts, inventory entries and reward leaves than one chunk holds, and a ring. */
function largeLedger(params: NetworkParams, chainId: Uint8Array) {
  const base = createLedger(params, chainId)
  const draft = draftOf(base)
  for (let i = 0; i < 2 ** 14 + 5; i++) {
    const address = new Uint8Array(20)
    new DataView(address.buffer).setUint32(0, i + 1)
    const fields = { balance: BigInt(i), bond: 0n, nonce: 0, flags: 0 }
    draft.accounts.set(i, { address, nextAddress: address, ...fields })
  }
  const long = inventoryOf(2 ** 13 + 3)
  const short = inventoryOf(5)
  const rooted = (entries: readonly InventoryEntry[]) => {
    const { root, sum, count } = inventoryTree(entries)
    return { root, sum, count, bytes: 1 }
  }
  const { root, sum, count } = rooted(long)
  draft.nodes.set(0, {
    ...NodeType.defaultValue(),
    inventoryRoot: root,
    inventorySum: sum,
    inventoryCount: count,
    snapshots: [
      { epoch: 2, ...rooted(short) },
      { epoch: 3, ...rooted([]) },
    ],
  })
  draft.setInventory(0, long)
  draft.setInventorySnapshots(0, [short, []])
  const fees = Array.from({ length: 2 ** 13 + 1 }, (_, i) => ({
    node: new Uint8Array(20).fill(i % 251),
    fee: BigInt(i),
  }))
  for (const [i, leaf] of fees.entries()) draft.setRewardLeaf(0, i, leaf)
  const epoch = { rewardRoot: rewardRoot(fees), rewardCount: fees.length }
  draft.epochs.set(0, { ...EpochType.defaultValue(), ...epoch })
  draft.epochs.set(1, EpochType.defaultValue())
  draft.setPeg(draft.peg())
  draft.setGlobals(draft.globals())
  const entries = changesOf(draft)
  merge(draft)
  return { base, entries }
}

function inventoryOf(length: number): InventoryEntry[] {
  return Array.from({ length }, (_, rail) => ({ rail, generation: 0, weight: BigInt(rail) }))
}

function viewOf(entries: readonly StateChange[]): StateView {
  const sorted = entries.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  return {
    async *range(from, to) {
      for (const { key, bytes } of sorted) {
        if (key >= from && key < to && bytes) yield await Promise.resolve({ key, bytes })
      }
    },
    close: () => Promise.resolve(),
  }
}

describe('a state snapshot', () => {
  test('covers every kind of state entry', () => {
    const side = ['inventories', 'snapshots', 'rewardLeaves']
    const covered = [...tableNames, 'peg', 'globals', ...side]
    // A new kind of entry must be proven and restored too: see snapshot-format.ts.
    expect(Object.keys(stateTags).sort()).toEqual(covered.sort())
  })

  test('cuts long lists into slices that are proven alone', async () => {
    const { params, chainId } = sameGenesis()
    const ledger = largeLedger(params, chainId)
    const entries = ledger.entries
    const big = { ...header(), epoch: 3, stateRoot: stateRoot(ledger.base) }
    const shelf = SnapshotDatabase.inMemory()
    const source = { view: viewOf(entries), header: big, roots: stateRoots(ledger.base), shelf }
    expect(await produceSnapshot({ ...source, isCancelled: () => false })).toBe(true)
    const fetched = SnapshotDatabase.inMemory()
    const server = serverOf(manager, { shelf })
    const peers = peersOf({ a: (request) => server.answer(request) })
    await fetchSnapshot({ peers, shelf: fetched, header: big })
    const restored: StateChange[] = []
    for await (const batch of snapshotEntries(fetched, big)) restored.push(...batch)
    const sorted = (list: readonly StateChange[]) =>
      list.map(({ key, bytes }) => `${key} ${bytesToHex(bytes ?? new Uint8Array(0))}`).sort()
    expect(sorted(restored)).toEqual(sorted(entries))
    // Accounts fill more than one chunk, inventory and reward leaves more than one slice.
    const manifest = checkManifest((await shelf.manifest(3)) as Uint8Array, big)
    if (!manifest.ok) throw new Error(manifest.fault.message)
    const places = recordPlaces(manifest.value)
    expect(
      places.filter((place) => place.kind === 'records' && place.table === 'accounts'),
    ).toHaveLength(2)
    let side = 0
    while (await shelf.chunk(3, places.length + side)) side += 1
    expect(side).toBe(2 + 1 + 2)
    for (let i = 0; i < side; i++) {
      const spoilt = flipped((await shelf.chunk(3, places.length + i)) as Uint8Array, 40)
      await shelf.put(3, places.length + i, spoilt)
      const fresh = SnapshotDatabase.inMemory()
      await expect(fetchSnapshot({ peers, shelf: fresh, header: big })).rejects.toThrow(
        SnapshotStalledError,
      )
      await shelf.put(3, places.length + i, flipped(spoilt, 40))
    }
  }, 30_000)

  test('the two newest are kept and offered', async () => {
    const offers = await snapshotOffers(peersOf({ a: answerOf(), b: answerOf() }))
    expect([...offers.keys()]).toEqual([5, 4])
    expect(offers.get(EPOCH)?.sort()).toEqual(['a', 'b'])
  })

  test('comes from several peers at once, byte for byte the same state', async () => {
    const shelf = SnapshotDatabase.inMemory()
    const asked = new Map<string, number>()
    const counting = (name: string) => {
      const answer = answerOf()
      return (request: Uint8Array) => {
        asked.set(name, (asked.get(name) ?? 0) + 1)
        return answer(request)
      }
    }
    const peers = peersOf({ a: counting('a'), b: counting('b') })
    await fetchSnapshot({ peers, shelf, header: header() })
    expect([...asked.keys()].sort()).toEqual(['a', 'b'])
    await expectWhole(shelf)
    expect(await shelf.epochs()).toEqual([EPOCH])
  })

  test('a chunk with any byte changed, cut or grown is refused', async () => {
    const manifest = checkManifest((await served.manifest(EPOCH)) as Uint8Array, header())
    if (!manifest.ok) throw new Error(manifest.fault.message)
    const shelf = SnapshotDatabase.inMemory()
    await fetchSnapshot({ peers: peersOf({ a: answerOf() }), shelf, header: header() })
    const places = recordPlaces(manifest.value)
    const chunks = await Promise.all(
      places.map(async (_, i) => (await shelf.chunk(EPOCH, i)) as Uint8Array),
    )
    fc.assert(
      fc.property(
        fc.nat(places.length - 1),
        fc.nat(2 ** 20),
        fc.integer({ min: 1, max: 255 }),
        (i, at, by) => {
          const place = places[i] as (typeof places)[number]
          const chunk = chunks[i] as Uint8Array
          expect(checkChunk(place, chunk).ok).toBe(true)
          expect(checkChunk(place, flipped(chunk, at % chunk.length, by)).ok).toBe(false)
          expect(checkChunk(place, chunk.slice(0, at % chunk.length)).ok).toBe(false)
          expect(checkChunk(place, concatBytes(chunk, Uint8Array.of(by))).ok).toBe(false)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a slice of an inventory or of reward leaves with any byte changed is refused', async () => {
    const manifest = checkManifest((await served.manifest(EPOCH)) as Uint8Array, header())
    if (!manifest.ok) throw new Error(manifest.fault.message)
    const records = recordPlaces(manifest.value).length
    const chunks: Uint8Array[] = []
    for (let at = records; ; at++) {
      const chunk = await served.chunk(EPOCH, at)
      if (!chunk) break
      chunks.push(chunk)
    }
    expect(chunks.length).toBeGreaterThan(3)
    for (const [i, chunk] of chunks.entries()) {
      for (let at = 0; at < chunk.length; at += 7) {
        let place = -1
        const peers = peersOf({
          liar: liar((each) => (bytesToHex(each) === bytesToHex(chunk) ? flipped(each, at) : each)),
        })
        const shelf = SnapshotDatabase.inMemory()
        const onBadPeer = () => {
          place = i
        }
        const fetched = fetchSnapshot({ peers, shelf, header: header(), onBadPeer })
        await expect(fetched).rejects.toThrow(SnapshotStalledError)
        expect(place).toBe(i)
        if (at > 21) break
      }
    }
  })

  test('a manifest with any byte changed is refused', async () => {
    const manifest = (await served.manifest(EPOCH)) as Uint8Array
    fc.assert(
      fc.property(fc.nat(manifest.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        expect(checkManifest(flipped(manifest, at, by), header()).ok).toBe(false)
      }),
      { numRuns: 200 },
    )
  })

  test('a peer with bad chunks is scored down and its chunks come from elsewhere', async () => {
    const shelf = SnapshotDatabase.inMemory()
    const bad: string[] = []
    const peers = peersOf({ liar: liar(flipped), honest: answerOf() })
    const onBadPeer = (peer: string) => bad.push(peer)
    await fetchSnapshot({ peers, shelf, header: header(), onBadPeer })
    expect(new Set(bad)).toEqual(new Set(['liar']))
    await expectWhole(shelf)
  })

  test('an interrupted fetch goes on where it was', async () => {
    const shelf = SnapshotDatabase.inMemory()
    let left = 1
    const dying = liar((chunk) => chunk)
    const mortal = async (request: Uint8Array) => {
      const isChunk = SyncRequestType.deserialize(request).kind === SyncRequestKind.chunks
      if (isChunk && left-- <= 0) throw new Error('the peer is gone')
      return dying(request)
    }
    const first = fetchSnapshot({ peers: peersOf({ mortal }), shelf, header: header() })
    await expect(first).rejects.toThrow(SnapshotStalledError)
    expect(await shelf.unfinished()).toMatchObject({ epoch: EPOCH })
    const chunks: number[] = []
    const honest = answerOf()
    const counting = (request: Uint8Array) => {
      const { kind, from } = SyncRequestType.deserialize(request)
      if (kind === SyncRequestKind.chunks) chunks.push(from)
      return honest(request)
    }
    await fetchSnapshot({ peers: peersOf({ counting }), shelf, header: header() })
    expect(chunks).not.toContain(0)
    await expectWhole(shelf)
  })

  test('what the shelf gives back wrong is removed and fetched again', async () => {
    const shelf = SnapshotDatabase.inMemory()
    const peers = peersOf({ a: answerOf() })
    await fetchSnapshot({ peers, shelf, header: header() })
    await shelf.put(EPOCH, 2, flipped((await shelf.chunk(EPOCH, 2)) as Uint8Array))
    await expect(expectWhole(shelf)).rejects.toThrow(ShelfDamagedError)
    await fetchSnapshot({ peers, shelf, header: header() })
    await expectWhole(shelf)
  })

  test('shows its checkpoint, although the chain goes on meanwhile', async () => {
    const chain = new CertifiedChain()
    chain.runTo(11)
    const shelf = SnapshotDatabase.inMemory()
    let pending: Promise<boolean> | undefined
    await managerOf(chain, (at) => {
      const { header: tip } = at.final
      if (tip.height === 10) {
        const view = at.store.stateView()
        const source = { view, header: tip, roots: stateRoots(at.ledger), shelf }
        pending = produceSnapshot({ ...source, isCancelled: () => false })
      }
      return Promise.resolve()
    })
    // Block 11 was committed while the snapshot of block 10 was being cut.
    expect(await pending).toBe(true)
    expect(await shelf.epochs()).toEqual([1])
  })
})
