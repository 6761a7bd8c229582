import { bytesEqual, bytesToHex, fromHex } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import type { FinalBlock } from '../consensus/machine-interface.ts'
import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import type { ChainStore, CommittedBlock, StoredBlock } from '../manager/chain-store.ts'
import { checkpointHeight, epochOfHeight } from '../params/network-params.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import { inventoryTree } from '../rules/inventory.ts'
import { rewardRoot } from '../rules/reward-tree.ts'
import { validatorSetOf } from '../rules/validator-set.ts'
import { type Ledger, stateRoot } from '../state/ledger.ts'
import { ledgerLoader } from '../state/ledger-loader.ts'
import { type CheckedBlock, checkStoredBlock } from '../sync/block-check.ts'
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
  /** Heights of damaged blocks that no start depends on: peers have them. */
  readonly damaged: readonly number[]
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
    return { ledger: genesis.ledger, head, damaged: [] }
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
  return { ledger: ledger.value, head, damaged: await newestDamaged(store, ledger.value, head) }
}

/** Newest blocks whose transactions and signatures are checked again at each start. */
const BLOCKS_PROVEN = 64
const BYTES_PROVEN = 16 * 1024 * 1024

/**
 * Proves the newest blocks from the tip down, each by the hash in its child. Throws where the node
 * cannot start without the block: the tip and the block that the running epoch starts on.
 */
async function newestDamaged(
  store: ChainStore,
  ledger: Ledger,
  head: FinalBlock,
): Promise<number[]> {
  const { params, chainId } = ledger
  const context = {
    params,
    crypto: createConsensusCrypto(chainId, undefined),
    validatorsOf: (epoch: number) => validatorSetOf(ledger, epoch),
  }
  const tip = head.header.height
  const start = checkpointHeight(params, epochOfHeight(params, tip + 1) - 1)
  const first = Math.max(1, await store.firstHeight(), tip - BLOCKS_PROVEN + 1)
  const found: number[] = []
  let hash: Uint8Array | undefined = fromHex(head.hash)
  let bytes = 0
  for (let height = tip; height >= first && hash && bytes < BYTES_PROVEN; height--) {
    const stored: StoredBlock | undefined = await store.block(height)
    const checked: Result<CheckedBlock> | undefined =
      stored && checkStoredBlock(stored, hash, context)
    if (!checked?.ok) {
      if (height === tip) throw damaged(`block ${height}, the newest one`)
      found.push(height)
    }
    bytes += stored?.block.length ?? 0
    hash = checked?.ok ? checked.value.header.parentHash : await store.hashAt(height - 1)
  }
  if (start > 0) {
    const hashAt = await store.hashAt(start)
    const stored = await store.block(start)
    const isWhole = stored && hashAt && checkStoredBlock(stored, hashAt, context).ok
    if (!isWhole) throw damaged(`block ${start}, which the epoch starts on`)
  }
  return found
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
