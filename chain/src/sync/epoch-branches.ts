import { bytesToHex, type Hex } from '../bytes/hex.ts'
import type { Fault } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { blockHash } from '../types/block.ts'
import { EPOCH_PROOF_BYTES_MAX } from '../types/epoch-proof.ts'
import { askStatus, type SyncPeers } from './sync-peers.ts'
import {
  decodeEpochProof,
  type HopContext,
  type ProvenEpoch,
  verifyEpochHop,
} from './epoch-proofs.ts'
import type { Branch } from './fork-choice.ts'
import {
  EpochProofsAnswerType,
  SYNC_ANSWER_BYTES_MAX,
  SYNC_FRAME_BYTES_MAX,
  SYNC_PROOFS_MAX,
  SyncRequestKind,
  syncRequest,
} from './sync-messages.ts'

/** Certified checkpoints from genesis on, with their proofs; who showed them. */
export interface ProvenBranch extends Branch {
  readonly checkpoints: readonly Hex[]
  /** EpochProofType by epoch - 1, as they are stored and served. */
  readonly proofs: readonly Uint8Array[]
  readonly epochs: readonly ProvenEpoch[]
  readonly peers: readonly string[]
}

export interface BranchSearch {
  readonly peers: SyncPeers
  /** Genesis, or an epoch that is trusted already. */
  readonly start: ProvenEpoch
  readonly context: HopContext
  /** No chain can have come further by now; old keys could sign epochs without end. */
  readonly epochMax: number
  readonly onBadPeer?: (peer: string, fault: Fault) => void
  /** A peer did not answer: which branch it is on is not known. */
  readonly onSilentPeer?: (peer: string) => void
}

interface GrowingBranch {
  checkpoints: Hex[]
  proofs: Uint8Array[]
  epochs: ProvenEpoch[]
  peers: string[]
}

/**
 * Every certified branch that a connected peer shows, each verified epoch by epoch. A peer whose
 * newest checkpoint is one that we have verified is on that branch: its hash commits to the rest.
 * So the usual price is one download, and one question to every further peer.
 */
export async function findBranches(search: BranchSearch): Promise<ProvenBranch[]> {
  const branches: GrowingBranch[] = []
  for (const peer of await responsivePeers(search)) {
    const known = await branchOf(search, peer, branches)
    if (known) {
      known.peers.push(peer)
      await extend(search, peer, known)
      continue
    }
    const branch = await downloadFrom(search, peer)
    if (branch.checkpoints.length === 0) continue
    const same = branches.find((each) => isPrefix(branch.checkpoints, each.checkpoints))
    if (same) same.peers.push(peer)
    else branches.push({ ...branch, peers: [...takeShorter(branches, branch), peer] })
  }
  return branches
}

/** Whoever showed the branch first may have kept its newest epochs back. */
async function extend(search: BranchSearch, peer: string, branch: GrowingBranch): Promise<void> {
  const tip = branch.epochs.at(-1)
  if (!tip) return
  const more = await downloadFrom({ ...search, start: tip }, peer)
  branch.checkpoints.push(...more.checkpoints)
  branch.proofs.push(...more.proofs)
  branch.epochs.push(...more.epochs)
}

/** One after the other, peers that hang would hold up a node for longer than its network bears. */
async function responsivePeers({ peers, context, onSilentPeer }: BranchSearch): Promise<string[]> {
  const all = peers.peers()
  const statuses = await Promise.all(all.map((peer) => askStatus(peers, peer, context.chainId)))
  for (const [i, peer] of all.entries()) if (!statuses[i]) onSilentPeer?.(peer)
  return all.filter((_, i) => statuses[i])
}

/** The branch whose newest checkpoint the peer has too. */
async function branchOf(
  search: BranchSearch,
  peer: string,
  branches: readonly GrowingBranch[],
): Promise<GrowingBranch | undefined> {
  for (const branch of branches) {
    const tip = branch.epochs.at(-1) as ProvenEpoch
    const [proof] = await askProofs(search, peer, tip.epoch, 1)
    const decoded = proof && decodeEpochProof(proof)
    if (decoded?.ok && bytesToHex(blockHash(decoded.value.header)) === tip.hash) return branch
  }
  return undefined
}

/** Everything that this peer can prove, up to its first proof that fails. */
async function downloadFrom(search: BranchSearch, peer: string): Promise<GrowingBranch> {
  const branch: GrowingBranch = { checkpoints: [], proofs: [], epochs: [], peers: [] }
  let trusted = search.start
  while (trusted.epoch < search.epochMax) {
    const count = Math.min(SYNC_PROOFS_MAX, search.epochMax - trusted.epoch)
    const page = await askProofs(search, peer, trusted.epoch + 1, count)
    if (page.length === 0) break
    for (const bytes of page) {
      const proof = decodeEpochProof(bytes)
      const hop = proof.ok ? verifyEpochHop(trusted, proof.value, search.context) : proof
      if (!hop.ok) {
        search.onBadPeer?.(peer, hop.fault)
        return branch
      }
      trusted = hop.value
      branch.checkpoints.push(trusted.hash)
      branch.proofs.push(bytes)
      branch.epochs.push(trusted)
    }
    if (page.length < count && !isFull(page)) break
  }
  return branch
}

async function askProofs(
  { peers, onSilentPeer }: BranchSearch,
  peer: string,
  from: number,
  count: number,
): Promise<readonly Uint8Array[]> {
  const request = syncRequest(SyncRequestKind.epochProofs, { from, count })
  let bytes: Uint8Array
  try {
    bytes = await peers.ask(peer, request, SYNC_FRAME_BYTES_MAX)
  } catch {
    onSilentPeer?.(peer)
    return []
  }
  const answer = decodeCanonical(EpochProofsAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
  return answer.ok ? answer.value.proofs.slice(0, count) : []
}

/**
 * An honest answer is cut short by its size or because there is no more. Whoever gave one proof in
 * ten seconds, and always another one, would hold up a newcomer for days.
 */
function isFull(page: readonly Uint8Array[]): boolean {
  const bytes = page.reduce((sum, proof) => sum + proof.length, 0)
  return bytes + EPOCH_PROOF_BYTES_MAX > SYNC_ANSWER_BYTES_MAX
}

function isPrefix(short: readonly Hex[], long: readonly Hex[]): boolean {
  return short.length <= long.length && short.at(-1) === long[short.length - 1]
}

/** Branches that the new one continues give way to it; gives their peers. */
function takeShorter(branches: GrowingBranch[], branch: GrowingBranch): string[] {
  const peers: string[] = []
  for (const [i, each] of [...branches.entries()].reverse()) {
    if (!isPrefix(each.checkpoints, branch.checkpoints)) continue
    branches.splice(i, 1)
    peers.push(...each.peers)
  }
  return peers
}
