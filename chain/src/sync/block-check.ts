import type { Type } from '@chainsafe/ssz'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { VoteVerifier } from '../consensus/machine-interface.ts'
import { checkCertificate } from '../light/finality.ts'
import type { StoredBlock, StoredPrunedBlock } from '../manager/chain-store.ts'
import type { NetworkParams } from '../params/network-params.ts'
import {
  BLOCK_BYTES_MAX,
  BlockType,
  blockHash,
  isJustificationOf,
  type SszBlock,
} from '../types/block.ts'
import {
  type Certificate,
  CertificateType,
  type Header,
  JustificationType,
  ReproposalsType,
} from '../types/consensus-objects.ts'
import { PrunedBlockType, transactionsOf } from '../types/pruned-block.ts'
import { transactionId, transactionListRoot } from '../types/transaction-codec.ts'
import type { Transaction } from '../types/transactions.ts'
import type { ValidatorSet } from '../types/validator-set.ts'
import { areReproposalsJustified } from './epoch-proofs.ts'

export interface BlockCheckContext {
  readonly params: Pick<NetworkParams, 'epochBlocks'>
  readonly crypto: VoteVerifier
  /** Undefined where the set of an epoch is not known any more: its signatures are not checked. */
  readonly validatorsOf: (epoch: number) => ValidatorSet | undefined
}

export interface CheckedBlock {
  readonly header: Header
  readonly transactionIds: readonly Uint8Array[]
  readonly certificate: Certificate | undefined
}

/**
 * Whether stored or fetched bytes are the final block of that hash, whole: header, transactions and
 * justification by their hashes, certificate and re-proposals by their signatures. The hash must
 * come from a block above it. Faults with STORED_BLOCK.
 */
export function checkStoredBlock(
  stored: StoredBlock,
  hash: Uint8Array,
  context: BlockCheckContext,
): Result<CheckedBlock> {
  const block = decodeCanonical(BlockType, stored.block, BLOCK_BYTES_MAX)
  if (!block.ok) return damaged(block.fault.message)
  const { header, body } = block.value as SszBlock
  return checkContent(stored, hash, context, header, body.transactions as Transaction[])
}

/** The same of a block whose openings are gone: all else is proven as before. */
export function checkPrunedBlock(
  stored: StoredPrunedBlock,
  hash: Uint8Array,
  context: BlockCheckContext,
): Result<CheckedBlock> {
  const block = decodeCanonical(PrunedBlockType, stored.pruned, BLOCK_BYTES_MAX)
  if (!block.ok) return damaged(block.fault.message)
  return checkContent(stored, hash, context, block.value.header, transactionsOf(block.value))
}

type StoredParts = Omit<StoredBlock, 'block'>

function checkContent(
  stored: StoredParts,
  hash: Uint8Array,
  context: BlockCheckContext,
  header: Header,
  transactions: readonly Transaction[],
): Result<CheckedBlock> {
  const isPlaced = header.height === stored.height && bytesEqual(stored.hash, hash)
  if (!isPlaced || !bytesEqual(blockHash(header), hash)) return damaged('the header is another one')
  if (!bytesEqual(transactionListRoot(transactions), header.txRoot)) {
    return damaged('the transactions are not those of the header')
  }
  const justification = decodeAll(JustificationType, stored.justification)
  if (!justification) return damaged('the justification is unreadable')
  if (!isJustificationOf(header, justification)) {
    return damaged('the justification is not that of the header')
  }
  const finality = checkFinalityOf(stored, header, hash, context)
  if (!finality.ok) return finality
  const transactionIds = transactions.map((transaction) => transactionId(transaction))
  return ok({ header, transactionIds, certificate: finality.value })
}

function checkFinalityOf(
  { certificate: bytes, reproposals: links }: StoredParts,
  header: Header,
  hash: Uint8Array,
  { params, crypto, validatorsOf }: BlockCheckContext,
): Result<Certificate | undefined> {
  if (!bytes)
    return links.length > 0 ? damaged('re-proposals without a certificate') : ok(undefined)
  const certificate = decodeAll(CertificateType, bytes)
  const validators = validatorsOf(header.epoch)
  if (!certificate) return damaged('the certificate is unreadable')
  if (!validators) return ok(certificate)
  const deciders = { epochBlocks: params.epochBlocks, validators, crypto }
  if (!checkCertificate({ header, hash }, certificate, deciders).ok) {
    return damaged('the certificate does not verify')
  }
  const reproposals = links.length > 0 ? decodeAll(ReproposalsType, links) : []
  if (
    !reproposals ||
    !areReproposalsJustified({ header, certificate, reproposals }, validators, crypto)
  ) {
    return damaged('a re-proposal is not justified')
  }
  return ok(certificate)
}

function decodeAll<T>(type: Type<T>, bytes: Uint8Array): T | undefined {
  const decoded = decodeCanonical(type, bytes, bytes.length)
  return decoded.ok ? decoded.value : undefined
}

const damaged = (message: string) => fault('STORED_BLOCK', message)
