import { bytesEqual, bytesToHex, fromHex, type Hex, parseHex } from '@ioex/chain/bytes'
import {
  asInternalHash,
  checkAuxPow,
  type DecodedHeader,
  type DecodedTransaction,
  decodeTransaction,
  findMemoAnchor,
  hashMeetsBits,
  isSideChainPowSignedBy,
  verifyMemoAnchor,
  verifyTransactionInclusion,
} from '@ioex/chain/elastos'
import type { Verdict } from './verdict.ts'

const TRANSACTION_BYTES_MAX = 64 * 1024

/** What is said of an anchor: hashes in internal order, all bytes as lower-case hex. */
export interface AnchorClaim {
  readonly epoch: number
  readonly checkpointHash: Hex
  readonly mainHeight: number
  readonly mainHash: Hex
  readonly mainTransaction: Hex
  readonly proof: {
    readonly transaction: Hex
    readonly branch: readonly Hex[]
    readonly branchIndex: number
  }
}

/** The main-chain transaction has the id that is on record. */
export function checkTransaction(
  verdict: Verdict,
  anchor: AnchorClaim,
): DecodedTransaction | undefined {
  const bytes = parseHex(anchor.proof.transaction, TRANSACTION_BYTES_MAX)
  const decoded = bytes.ok ? decodeTransaction(bytes.value) : bytes
  verdict.take('the main-chain transaction is well-formed', decoded)
  if (!decoded.ok) return undefined
  verdict.expect(
    'its id is the one on record',
    bytesToHex(decoded.value.id) === anchor.mainTransaction,
    'ANCHOR_TRANSACTION',
    'the transaction has another id than the anchor',
  )
  return decoded.value
}

/**
 * A SideChainPow of this chain and checkpoint.
 * @param arbiterKeys compressed P-256 keys, hex; where none are known the signer is not judged:
 *   the main chain did before it took the block
 */
export function checkSideChainPow(
  verdict: Verdict,
  anchor: AnchorClaim,
  decoded: DecodedTransaction,
  chainId: Hex,
  arbiterKeys: readonly Hex[],
): void {
  const { payload, payloadVersion } = decoded.transaction
  const names =
    payload.kind === 'side-chain-pow' &&
    payloadVersion === 0 &&
    bytesToHex(payload.sideGenesisHash) === chainId &&
    bytesToHex(payload.sideBlockHash) === anchor.checkpointHash
  verdict.expect(
    'it is a SideChainPow of this chain and this checkpoint',
    names,
    'MAIN_ANCHOR_BLOCK',
    'the SideChainPow names another chain or checkpoint',
  )
  if (arbiterKeys.length === 0) return
  verdict.expect(
    'an arbiter of the network signed it',
    arbiterKeys.some((key) => isSideChainPowSignedBy(decoded, fromHex(key))),
    'MAIN_ANCHOR_SIGNATURE',
    'the SideChainPow is not signed by an arbiter',
  )
}

/**
 * A memo of this epoch and checkpoint, signed by one of the keys.
 * @param keys Ed25519 public keys, hex, for the index of the validator that the memo names
 */
export async function checkMemo(
  verdict: Verdict,
  anchor: AnchorClaim,
  decoded: DecodedTransaction,
  chainId: Hex,
  keys: (validatorIndex: number) => Promise<readonly Hex[]> | readonly Hex[],
): Promise<void> {
  const found = findMemoAnchor(decoded)
  if (!verdict.take('it carries a memo of this chain', found) || !found.ok) return
  const memo = found.value.anchor
  verdict.expect(
    'the memo names this epoch and checkpoint',
    memo.epoch === anchor.epoch && bytesToHex(memo.checkpointHash) === anchor.checkpointHash,
    'ANCHOR_MEMO_OTHER',
    'the memo commits to another checkpoint',
  )
  const id = fromHex(chainId)
  const signers = await keys(memo.validatorIndex)
  verdict.expect(
    'a validator signed it',
    signers.some((key) => verifyMemoAnchor(memo, id, fromHex(key)).ok),
    'MAIN_ANCHOR_SIGNATURE',
    'the memo is signed by no validator of its epoch',
  )
}

/** The main block of the anchor, with the Bitcoin work below it. */
export function checkMainHeader(
  verdict: Verdict,
  anchor: AnchorClaim,
  header: DecodedHeader | undefined,
): void {
  const isKnown = header !== undefined && bytesToHex(header.hash) === anchor.mainHash
  verdict.expect(
    'its main header is on record',
    isKnown,
    'ANCHOR_HEADER_UNKNOWN',
    'the main header of the anchor is not shown (pruned, or replaced by another)',
  )
  if (!header) return
  verdict.take('Bitcoin miners committed to the header', checkAuxPow(header.auxPow, header.hash))
  verdict.expect(
    'their work meets its target',
    hashMeetsBits(header.bitcoinParentHash, header.header.bits),
    'MAIN_HEADER_WORK',
    'the Bitcoin header does not meet the target',
  )
}

/** The transaction stands in the main block. */
export function checkBranch(
  verdict: Verdict,
  { proof }: AnchorClaim,
  { id }: DecodedTransaction,
  { header }: DecodedHeader,
): void {
  const branch = proof.branch.map((hash) => asInternalHash(fromHex(hash)))
  const included = verifyTransactionInclusion(id, branch, proof.branchIndex, header.merkleRoot)
  verdict.take('the transaction stands in that block', included)
}

/** Links and work of the headers on top; gives how many stand in a row with the first. */
export function followHeaders(verdict: Verdict, headers: readonly DecodedHeader[]): number {
  let depth = Math.min(1, headers.length)
  for (let i = 1; i < headers.length; i++) {
    const [below, header] = [headers[i - 1], headers[i]] as [DecodedHeader, DecodedHeader]
    if (!bytesEqual(header.header.previous, below.hash)) break
    if (!hashMeetsBits(header.bitcoinParentHash, header.header.bits)) break
    if (!checkAuxPow(header.auxPow, header.hash).ok) break
    depth++
  }
  verdict.expect(
    `${depth} main headers in a row carry it`,
    depth === headers.length && depth > 0,
    'MAIN_HEADER_PREVIOUS',
    'the headers above the anchor do not follow from its own',
  )
  return depth
}
