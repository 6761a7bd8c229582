import { signingDigest, verifySignature } from '../bytes/signature.ts'
import { type Statement, StatementType } from '../types/consensus-objects.ts'
import type { VoteVerifier } from './machine-interface.ts'

/** What the votes of a chain sign; hashed once for all signatures of a certificate. */
export function voteDigests(chainId: Uint8Array): (statement: Statement) => Uint8Array {
  const digests = new WeakMap<Statement, Uint8Array>()
  return (statement) => {
    const known = digests.get(statement)
    if (known) return known
    const digest = signingDigest('vote', chainId, StatementType.hashTreeRoot(statement))
    digests.set(statement, digest)
    return digest
  }
}

/** Checks the votes of a chain. */
export function voteVerifier(chainId: Uint8Array, digestOf = voteDigests(chainId)): VoteVerifier {
  return {
    verify: (statement, publicKey, signature) =>
      verifySignature(signature, digestOf(statement), publicKey),
  }
}
