import {
  bytesEqual,
  decodeCanonical,
  fault,
  ok,
  parseHex,
  type Result,
  signingDigest,
  verifySignature,
} from '@ioex/chain/bytes'
import {
  type ConsensusCrypto,
  type EpochValidator,
  isValidCertificate,
} from '@ioex/chain/consensus'
import {
  blockHash,
  type Certificate,
  CertificateType,
  type Header,
  HeaderType,
  type Statement,
  StatementType,
  VoteKind,
} from '@ioex/chain/types'

/** What a thin client holds to judge a header. */
export interface FinalityRules {
  readonly chainId: Uint8Array
  readonly epochBlocks: number
  /** The set that signs, in index order, and the header field that commits to it. */
  readonly validators: readonly EpochValidator[]
  readonly validatorsHash: Uint8Array
}

const HEADER_BYTES_MAX = 1024
const CERTIFICATE_BYTES_MAX = 8192

export function decodeHeader(hex: string): Result<Header> {
  const bytes = parseHex(hex, HEADER_BYTES_MAX)
  return bytes.ok ? decodeCanonical(HeaderType, bytes.value, HEADER_BYTES_MAX) : bytes
}

export function decodeCertificate(hex: string): Result<Certificate> {
  const bytes = parseHex(hex, CERTIFICATE_BYTES_MAX)
  return bytes.ok ? decodeCanonical(CertificateType, bytes.value, CERTIFICATE_BYTES_MAX) : bytes
}

/**
 * Checks that a certificate makes the header final: a quorum q = floor(2W/3) + 1 of the set
 * signed "finalize" of its hash in its epoch and view. The last block of an epoch may have been
 * finalised in a later view (re-proposed until final), no other block may.
 */
export function checkFinality(
  header: Header,
  certificate: Certificate,
  rules: FinalityRules,
): Result<undefined> {
  const { statement } = certificate
  if (!bytesEqual(header.chainId, rules.chainId)) {
    return fault('CHAIN_OTHER', 'the header is of another chain')
  }
  if (!bytesEqual(header.validatorsHash, rules.validatorsHash)) {
    return fault('VALIDATORS_OTHER', 'the header names other validators than this client knows')
  }
  if (statement.kind !== VoteKind.finalize || statement.epoch !== header.epoch) {
    return fault('CERTIFICATE_WRONG', 'the certificate does not finalise a block of this epoch')
  }
  const isCheckpoint = header.height % rules.epochBlocks === 0
  if (isCheckpoint ? statement.view < header.view : statement.view !== header.view) {
    return fault('CERTIFICATE_WRONG', 'the certificate is of another view')
  }
  if (!bytesEqual(statement.hash, blockHash(header))) {
    return fault('CERTIFICATE_WRONG', 'the certificate is of another block')
  }
  if (!isValidCertificate(certificate, rules.validators, verifierOf(rules.chainId))) {
    return fault('CERTIFICATE_WRONG', 'the certificate lacks a quorum of valid signatures')
  }
  return ok()
}

/** Verifies votes; hashes the statement once for all signatures of a certificate. */
function verifierOf(chainId: Uint8Array): ConsensusCrypto {
  let last: { statement: Statement; digest: Uint8Array } | undefined
  const digestOf = (statement: Statement) => {
    if (last?.statement !== statement) {
      const root = StatementType.hashTreeRoot(statement)
      last = { statement, digest: signingDigest('vote', chainId, root) }
    }
    return last.digest
  }
  return {
    verify: (statement, publicKey, signature) =>
      verifySignature(signature, digestOf(statement), publicKey),
    sign: unused,
    hashHeader: unused,
    hashJustification: unused,
  }
}

function unused(): never {
  throw new Error('a thin client only verifies')
}
