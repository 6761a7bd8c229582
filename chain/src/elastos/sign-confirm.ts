import {
  type Confirm,
  type ConfirmVote,
  proposalHash,
  proposalSignedBytes,
  voteSignedBytes,
} from './confirm.ts'
import type { InternalHash } from './hash-orientation.ts'
import { p256PublicKey, signP256 } from './p256.ts'

/** The Confirm that arbiters with these secret keys give a block; the first one proposes it. */
export function signConfirm(
  blockHash: InternalHash,
  secretKeys: readonly Uint8Array[],
  viewOffset = 0,
): Confirm {
  const [sponsorKey = new Uint8Array(0)] = secretKeys
  const draft = { sponsor: p256PublicKey(sponsorKey), blockHash, viewOffset }
  const proposal = { ...draft, signature: signP256(proposalSignedBytes(draft), sponsorKey) }
  const hash = proposalHash(proposal)
  const votes = secretKeys.map((secretKey): ConfirmVote => {
    const vote = { proposalHash: hash, signer: p256PublicKey(secretKey), accept: 1 }
    return { ...vote, signature: signP256(voteSignedBytes(vote), secretKey) }
  })
  return { proposal, votes }
}
