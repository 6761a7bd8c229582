import { assert } from '../bytes/assert.ts'
import { sign, signingDigest, verifySignature } from '../bytes/signature.ts'
import type { ConsensusCrypto } from '../consensus/machine-interface.ts'
import { blockHash } from '../types/block.ts'
import { JustificationType, type Statement, StatementType } from '../types/consensus-objects.ts'

/** The functions the machine is given in a real node (PROTOCOL 1.2). */
export function createConsensusCrypto(
  chainId: Uint8Array,
  secretKey: Uint8Array | undefined,
): ConsensusCrypto {
  // A certificate checks one statement object against many signatures.
  const digests = new WeakMap<Statement, Uint8Array>()
  const digestOf = (statement: Statement): Uint8Array => {
    const known = digests.get(statement)
    if (known) return known
    const digest = signingDigest('vote', chainId, StatementType.hashTreeRoot(statement))
    digests.set(statement, digest)
    return digest
  }
  return {
    verify: (statement, publicKey, signature) =>
      verifySignature(signature, digestOf(statement), publicKey),
    sign(statement) {
      assert(secretKey, 'only a validator signs')
      return sign(digestOf(statement), secretKey)
    },
    hashHeader: blockHash,
    hashJustification: (justification) => JustificationType.hashTreeRoot(justification),
  }
}
