import { signingDigest, verifySignature } from '../bytes/signature.ts'
import { StatementType } from '../types/consensus-objects.ts'
import type { SignedStatement } from '../types/transactions.ts'

/** Whether a consensus key signed the statement as a vote of this chain (purpose "vote"). */
export function isStatementSigned(
  chainId: Uint8Array,
  { statement, signature }: SignedStatement,
  publicKey: Uint8Array,
): boolean {
  const digest = signingDigest('vote', chainId, StatementType.hashTreeRoot(statement))
  return verifySignature(signature, digest, publicKey)
}
