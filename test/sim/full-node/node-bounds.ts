import type { ConsensusDriver } from '../../../chain/src/driver/consensus-driver.ts'
import type { ChainManager } from '../../../chain/src/manager/chain-manager.ts'
import type { TransactionRelay } from '../../../chain/src/net/transaction-relay.ts'
import type { SignerBoard } from '../../../chain/src/node/signer-board.ts'
import type { TransactionEntry } from '../../../chain/src/node/transaction-entry.ts'
import type { PoolLimits } from '../../../chain/src/pool/pool-limits.ts'
import { Violation } from '../violation.ts'

const MIB = 2 ** 20
/** Votes and proposals count this far ahead (consensus 1.3). */
const VIEWS_AHEAD = 32
/** Two proposals of its leader, and one more that a quorum certified. */
const BLOCKS_PER_VIEW_MAX = 3
const VALIDATORS_MAX = 100
/** The running epoch, the one before and the one after. */
const EPOCHS_VOTED = 3

/** The parts of a whole node that keep something of what others send. */
export interface KeptParts {
  readonly driver: ConsensusDriver
  readonly manager: ChainManager
  readonly entry: TransactionEntry
  readonly board: SignerBoard
  /** Where transactions are announced and pulled. */
  readonly relay: TransactionRelay | undefined
  readonly poolLimits: PoolLimits
  readonly peers: number
}

/**
 * I13 for whole nodes: whatever anybody sends, each part keeps no more than its bound. The bounds
 * are written again here, from what the protocol and the parameters say.
 */
export function checkKept(parts: KeptParts): void {
  checkDriver(parts)
  checkEntry(parts)
  const { keys, processesOfKey } = parts.board.sizes()
  expectAtMost('keys on the signer board', keys, 256)
  expectAtMost('processes of a key on the signer board', processesOfKey, 4)
  if (parts.relay) checkRelay(parts.relay, parts.peers)
}

function checkDriver({ driver, manager }: KeptParts): void {
  const { inbox, blocks, tree, behindNotices, timers } = driver.sizes()
  expectAtMost('messages in the inbox', inbox.messages, 2048)
  expectAtMost('bytes in the inbox', inbox.bytes, 32 * MIB)
  expectAtMost('messages of a peer in the inbox', inbox.messagesOfPeer, 512)
  expectAtMost('bytes of a peer in the inbox', inbox.bytesOfPeer, 8 * MIB)
  expectAtMost('bodies that came early', blocks.early.bodies, 16)
  expectAtMost('bodies of a validator that came early', blocks.early.bodiesOfSigner, 2)
  expectAtMost('blocks read for peers at once', blocks.reads, 4)
  expectAtMost('peers that are known to be ahead', behindNotices, 257)
  expectAtMost('timers', timers, 5)
  const { epoch, view } = driver.status()
  const { header } = manager.final
  const open = header.epoch === epoch ? Math.max(1, view - header.view) : view
  const { candidates } = manager
  expectAtMost('executed blocks', candidates, BLOCKS_PER_VIEW_MAX * (open + 1))
  expectAtMost('blocks in the tree', tree, BLOCKS_PER_VIEW_MAX * (open + VIEWS_AHEAD))
  // A start has bodies from the log, until its first step, of blocks that are not in the tree.
  expectAtMost('bodies', blocks.bodies, BLOCKS_PER_VIEW_MAX * (open + VIEWS_AHEAD))
}

function checkEntry({ entry, poolLimits }: KeptParts): void {
  const { pool, scratches, evidence, votes, peers, verified } = entry.sizes()
  expectAtMost('waiting of accounts', pool.accounts.count, poolLimits.accountTransactionsMax)
  expectAtMost('bytes waiting of accounts', pool.accounts.bytes, poolLimits.accountBytesMax)
  expectAtMost('waiting without account', pool.free.count, poolLimits.freeTransactionsMax)
  expectAtMost('bytes waiting without account', pool.free.bytes, poolLimits.freeBytesMax)
  expectAtMost('waiting of an account', pool.ofAccount, poolLimits.perAccountMax)
  expectAtMost('scratch ledgers', scratches, 256)
  expectAtMost('evidence', evidence, 2 * VALIDATORS_MAX)
  expectAtMost('validators with votes', votes.voters, EPOCHS_VOTED * VALIDATORS_MAX)
  expectAtMost('votes of a validator', votes.votesOfOne, 16)
  expectAtMost('peers with a budget', peers, 1024)
  expectAtMost('checked signatures', verified, 50_000)
}

function checkRelay(relay: TransactionRelay, peers: number): void {
  const sizes = relay.sizes()
  expectAtMost('peers of the relay', sizes.peers, peers)
  expectAtMost('ids announced by a peer', sizes.announcedOfPeer, 4096)
  expectAtMost('ids wanted', sizes.wanted, peers * 4096)
  expectAtMost('ids judged lately', sizes.known, 100_000)
  expectAtMost('bytes of bodies to give', sizes.bodyBytes, 32 * MIB)
  expectAtMost('ids to announce to a peer', sizes.queueOfPeer, 10_000)
  expectAtMost('ids offered to a peer', sizes.offeredToPeer, 10_000)
}

function expectAtMost(what: string, size: number, bound: number): void {
  if (size > bound) throw new Violation(`I13 ${what}: ${size} where ${bound} are the most`)
}
