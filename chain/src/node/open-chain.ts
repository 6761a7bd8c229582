import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import type { FinalBlock } from '../consensus/machine-interface.ts'
import type { ChainStore, CommittedBlock } from '../manager/chain-store.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import { inventoryTree } from '../rules/inventory.ts'
import { rewardRoot } from '../rules/reward-tree.ts'
import { ledgerLoader, type Ledger, stateRoot } from '../state/ledger.ts'
import { BlockType, blockHash } from '../types/block.ts'
import { CertificateType, JustificationType } from '../types/consensus-objects.ts'
import { ZERO_HASH } from '../types/primitives.ts'

/** The database does not hold the chain it should; the message says what to do. */
export class ChainDataError extends Error {
  override name = 'ChainDataError'
}

export interface OpenedChain {
  readonly ledger: Ledger
  readonly head: FinalBlock
}

/**
 * The final chain of a store: genesis is written into an empty one. Rebuilds the state tree from
 * its records and compares the root with the tip's header, so that every start proves the whole
 * database (LevelDB loses data in the middle of a damaged log without an error).
 */
export async function openChain(store: ChainStore, genesis: Genesis): Promise<OpenedChain> {
  return readChain(store, genesis).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException
    // LevelDB finds most damage only where it reads.
    throw code === 'LEVEL_CORRUPTION' ? damaged(message) : error
  })
}

async function readChain(store: ChainStore, genesis: Genesis): Promise<OpenedChain> {
  const tip = await store.tipHeight()
  if (tip === undefined) {
    await store.commit({ blocks: [genesisBlock(genesis)], state: genesis.entries })
    const { header } = genesis.block
    const head = { hash: bytesToHex(genesis.hash), header, certificate: undefined }
    return { ledger: genesis.ledger, head }
  }
  const first = await store.block(0)
  if (!first) throw damaged('block 0 is missing')
  if (!bytesEqual(first.hash, genesis.hash)) {
    throw new ChainDataError(
      'the database belongs to another network than the genesis file: use another data folder',
    )
  }
  const head = await headAt(store, tip)
  const loader = ledgerLoader(genesis.params, genesis.chainId)
  for await (const entries of store.stateEntries()) {
    for (const entry of entries) {
      const added = loader.add(entry)
      if (!added.ok) throw damaged(added.fault.message)
    }
  }
  const ledger = loader.finish()
  if (!ledger.ok) throw damaged(ledger.fault.message)
  if (!bytesEqual(stateRoot(ledger.value), head.header.stateRoot)) {
    throw damaged(`the state does not match block ${tip}`)
  }
  const list = damagedList(ledger.value)
  if (list) throw damaged(list)
  return { ledger: ledger.value, head }
}

/** Epochs whose reward leaves are hashed again at a start; of older ones the number must fit. */
const REWARDS_HASHED = 16

/**
 * What stands behind records, which the state root covers only by the roots in them: names the
 * first list that does not lead to its root.
 */
function damagedList(ledger: Ledger): string | undefined {
  for (let index = 0; index < ledger.nodes.count; index++) {
    const node = ledger.nodes.get(index)
    if (!node) continue
    const lists = [ledger.inventory(index), ...ledger.inventorySnapshots(index)]
    const roots = [node.inventoryRoot, ...node.snapshots.map(({ root }) => root)]
    const fits = roots.every((root, i) => bytesEqual(inventoryTree(lists[i] ?? []).root, root))
    if (!fits || lists.length !== roots.length) return `an inventory of node ${index}`
  }
  for (let index = 0; index < ledger.epochs.count; index++) {
    const epoch = ledger.epochs.get(index)
    if (!epoch || bytesEqual(epoch.rewardRoot, ZERO_HASH)) continue
    const leaves = ledger.rewardLeaves(index)
    const isRecent = index >= ledger.epochs.count - REWARDS_HASHED
    const fits = !isRecent || bytesEqual(rewardRoot(leaves), epoch.rewardRoot)
    if (!fits || leaves.length !== epoch.rewardCount) return `the reward leaves of epoch ${index}`
  }
  return undefined
}

async function headAt(store: ChainStore, height: number): Promise<FinalBlock> {
  const stored = await store.block(height)
  if (!stored) throw damaged(`block ${height} is missing`)
  const { header } = BlockType.deserialize(stored.block)
  if (!bytesEqual(blockHash(header), stored.hash)) throw damaged(`block ${height} is another one`)
  const certificate = stored.certificate && CertificateType.deserialize(stored.certificate)
  if (certificate && !bytesEqual(certificate.statement.hash, stored.hash)) {
    throw damaged(`the certificate of block ${height} is of another one`)
  }
  return { hash: bytesToHex(stored.hash), header, certificate }
}

/** Block 0 as it is stored. */
export function genesisBlock({ block, hash }: Genesis): CommittedBlock {
  return {
    height: 0,
    hash,
    block: BlockType.serialize({ ...block }),
    justification: JustificationType.serialize({ parent: [], skips: [] }),
    certificate: undefined,
    reproposals: new Uint8Array(0),
    transactionIds: [],
    receipts: [],
  }
}

function damaged(reason: string): ChainDataError {
  return new ChainDataError(
    `the database is damaged (${reason}): move the chain folder away and start again; the node ` +
      'syncs from its peers, and its signing history stays where it is',
  )
}
