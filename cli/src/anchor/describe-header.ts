import { bytesEqual, bytesToHex, fault, ok, type Result } from '@ioex/chain/bytes'
import {
  type AuxPow,
  checkAuxPow,
  compactToTarget,
  type DecodedHeader,
  decodeBitcoinHeader,
  decodeBitcoinTransaction,
  doubleHash,
  ELA_CHAIN_ID,
  ELASTOS_GENESIS_HASHES,
  hashMeetsBits,
  type InternalHash,
  type MainHeader,
} from '@ioex/chain/elastos'
import { bitsJson, hashJson, plainJson } from './plain-json.ts'
import type { Verdict } from './verdict.ts'

/** The 84 bytes of a header. */
export function headerJson(header: MainHeader, hash: InternalHash) {
  return {
    hash: hashJson(hash),
    height: header.height,
    version: header.version,
    previous: hashJson(header.previous),
    merkleRoot: hashJson(header.merkleRoot),
    timestamp: header.timestamp,
    time: new Date(header.timestamp * 1000).toISOString(),
    bits: bitsJson(header.bits),
    target: compactToTarget(header.bits).toString(16).padStart(64, '0'),
    nonce: header.nonce,
  }
}

/** An AuxPow with the Bitcoin coinbase and header in it. */
export function auxPowJson(auxPow: AuxPow) {
  const coinbase = decodeBitcoinTransaction(auxPow.parentCoinbase)
  const parent = decodeBitcoinHeader(auxPow.parentHeader)
  return {
    parentCoinbase: {
      hash: hashJson(doubleHash(auxPow.parentCoinbase)),
      raw: bytesToHex(auxPow.parentCoinbase),
      ...(coinbase.ok && (plainJson(coinbase.value) as object)),
    },
    parentHash: hashJson(auxPow.parentHash),
    parentBranch: auxPow.parentBranch.map(hashJson),
    parentIndex: auxPow.parentIndex,
    auxBranch: auxPow.auxBranch.map(hashJson),
    auxIndex: auxPow.auxIndex,
    parentHeader: {
      hash: hashJson(doubleHash(auxPow.parentHeader)),
      raw: bytesToHex(auxPow.parentHeader),
      ...(parent.ok && {
        ...(plainJson(parent.value) as object),
        bits: bitsJson(parent.value.bits),
      }),
    },
    chainId: ELA_CHAIN_ID,
  }
}

/** Header and AuxPow, with the rules that need no other header. */
export function fullHeaderJson(decoded: DecodedHeader) {
  return {
    ...headerJson(decoded.header, decoded.hash),
    bitcoinParentHash: hashJson(decoded.bitcoinParentHash),
    auxPow: auxPowJson(decoded.auxPow),
  }
}

/**
 * Commitment and work of a header. A genesis block carries an empty proof and is trusted by its
 * hash: one of Elastos' own, or the one given.
 */
export function checkHeaderProof(
  verdict: Verdict,
  decoded: DecodedHeader,
  against: Uint8Array | undefined,
): void {
  const { header, hash } = decoded
  if (header.height === 0) {
    const trusted = against ? [...ELASTOS_GENESIS_HASHES, against] : ELASTOS_GENESIS_HASHES
    verdict.expect(
      'genesis',
      trusted.some((known) => isHash(known, hash)),
      'MAIN_GENESIS_UNKNOWN',
      'a genesis block is trusted by its hash: give it with --against',
    )
    return
  }
  verdict.take('auxPow', checkAuxPow(decoded.auxPow, hash))
  verdict.expect(
    'work',
    hashMeetsBits(decoded.bitcoinParentHash, header.bits),
    'MAIN_HEADER_WORK',
    'the Bitcoin header does not meet the target',
  )
}

/** Whether the text a person gave names this hash, in either orientation. */
export function isHash(given: Uint8Array, hash: Uint8Array): boolean {
  return bytesEqual(given, hash) || bytesEqual(Uint8Array.from(given).reverse(), hash)
}

/** The `against` rule of objects that have one hash of their own. */
export function isNamed(given: Uint8Array, hash: Uint8Array, what: string): Result<undefined> {
  if (isHash(given, hash)) return ok()
  return fault('MAIN_HASH_OTHER', `the hash of the ${what} is another one`)
}
