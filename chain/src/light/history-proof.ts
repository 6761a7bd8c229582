import { checkListProof, type ListProof } from '../bytes/list-proof.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { countChunk } from '../bytes/dense-tree.ts'
import { blockHash } from '../types/block.ts'
import type { Header } from '../types/consensus-objects.ts'
import type { FinalHeader } from './finality.ts'

/** Length limit of the list that a header's historyRoot commits to. */
export const HISTORY_LIMIT = 2 ** 32

/** The branch of an old block's hash under the historyRoot of a later header. */
export type HistoryBranch = ListProof['branch']

/**
 * Checks that `old` is a block of the chain that `later` ends: it stands at its own height in
 * the list of all block hashes before `later`, whose length is the height of `later`.
 */
export function verifyHistory(
  later: FinalHeader,
  old: Header,
  branch: HistoryBranch,
): Result<FinalHeader> {
  const hash = blockHash(old)
  const { height, historyRoot, chainId } = later.header
  if (!bytesEqual(old.chainId, chainId)) {
    return fault('CHAIN_OTHER', 'the header is of another chain')
  }
  const count = branch.at(-1)
  if (old.height >= height || !count || !bytesEqual(count, countChunk(height))) {
    return fault('PROOF_SHAPE', 'the proof is not of a block before this header')
  }
  const proof = { leaf: hash, index: old.height, branch, root: historyRoot }
  const listed = checkListProof(proof, HISTORY_LIMIT)
  return listed.ok ? ok({ header: old, hash }) : listed
}
