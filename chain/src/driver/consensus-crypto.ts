import { assert } from '../bytes/assert.ts'
import { sign } from '../bytes/signature.ts'
import type { ConsensusCrypto } from '../consensus/machine-interface.ts'
import { voteDigests, voteVerifier } from '../consensus/vote-verifier.ts'
import { blockHash } from '../types/block.ts'
import { JustificationType } from '../types/consensus-objects.ts'

/** The functions the machine is given in a real node (PROTOCOL 1.2). */
export function createConsensusCrypto(
  chainId: Uint8Array,
  secretKey: Uint8Array | undefined,
): ConsensusCrypto {
  const digestOf = voteDigests(chainId)
  return {
    ...voteVerifier(chainId, digestOf),
    sign(statement) {
      assert(secretKey, 'only a validator signs')
      return sign(digestOf(statement), secretKey)
    },
    hashHeader: blockHash,
    hashJustification: (justification) => JustificationType.hashTreeRoot(justification),
  }
}
