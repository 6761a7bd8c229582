import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'
import { verifyP256 } from './p256.ts'

const PUBLIC_KEY_BYTES_MAX = 33
const SIGNATURE_BYTES_MAX = 64
/** Arbiters are 36; nobody has more. */
const VOTES_MAX = 1024
const VOTE_BYTES_MIN = 32 + 1 + 1 + 1

export interface ConfirmVote {
  readonly proposalHash: InternalHash
  readonly signer: Uint8Array
  readonly accept: number
  readonly signature: Uint8Array
}

/** Finality proof of a main-chain block: a proposal and more than 2/3 of the arbiters' votes. */
export interface Confirm {
  readonly proposal: {
    readonly sponsor: Uint8Array
    readonly blockHash: InternalHash
    readonly viewOffset: number
    readonly signature: Uint8Array
  }
  readonly votes: readonly ConfirmVote[]
}

/** Decodes exactly one Confirm; checks no signature. */
export function decodeConfirm(bytes: Uint8Array): Result<Confirm> {
  const reader = new ByteReader(bytes)
  return reader.result(readConfirm(reader))
}

export function readConfirm(reader: ByteReader): Confirm {
  const proposal = {
    sponsor: reader.varBytes(PUBLIC_KEY_BYTES_MAX),
    blockHash: reader.hash(),
    viewOffset: reader.u32(),
    signature: reader.varBytes(SIGNATURE_BYTES_MAX),
  }
  const stated = reader.u64()
  const fitting = Math.min(VOTES_MAX, Math.floor(reader.remaining / VOTE_BYTES_MIN))
  if (stated > BigInt(fitting)) {
    reader.fail('MAIN_FIELD_TOO_LONG', 'a Confirm has more votes than there are arbiters or bytes')
  }
  const votes: ConfirmVote[] = []
  for (let i = 0; i < Number(stated) && !reader.failed; i++) {
    votes.push({
      proposalHash: reader.hash(),
      signer: reader.varBytes(PUBLIC_KEY_BYTES_MAX),
      accept: reader.u8(),
      signature: reader.varBytes(SIGNATURE_BYTES_MAX),
    })
  }
  return { proposal, votes }
}

/**
 * The Confirm at the end of a block message, found by the hash of the block that its proposal
 * names: transactions of types that we cannot read may stand before it. Undefined without one.
 */
export function confirmOfBlockMessage(
  payload: Uint8Array,
  blockHash: InternalHash,
): Confirm | undefined {
  const named = lastIndexOf(payload, blockHash)
  // A flag, the length of the sponsor's key and the key stand before the hash.
  const start = named - PUBLIC_KEY_BYTES_MAX - 1
  if (start < 1 || payload[start - 1] !== 1) return undefined
  const decoded = decodeConfirm(payload.subarray(start))
  return decoded.ok ? decoded.value : undefined
}

function lastIndexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = bytes.length - part.length; at >= 0; at--) {
    if (bytes[at] === part[0] && bytesEqual(bytes.subarray(at, at + part.length), part)) return at
  }
  return -1
}

export function encodeConfirm(confirm: Confirm): Uint8Array {
  const writer = new ByteWriter(VOTE_BYTES_MIN * 4)
  writer.fixed(proposalSignedBytes(confirm.proposal)).varBytes(confirm.proposal.signature)
  writer.u64(BigInt(confirm.votes.length))
  for (const vote of confirm.votes) {
    writer.fixed(voteSignedBytes(vote)).varBytes(vote.signature)
  }
  return writer.finish()
}

export function proposalSignedBytes(proposal: Omit<Confirm['proposal'], 'signature'>): Uint8Array {
  const writer = new ByteWriter(80).varBytes(proposal.sponsor)
  return writer.fixed(proposal.blockHash).u32(proposal.viewOffset).finish()
}

export function proposalHash(proposal: Omit<Confirm['proposal'], 'signature'>): InternalHash {
  return doubleHash(proposalSignedBytes(proposal))
}

export function voteSignedBytes(vote: Omit<ConfirmVote, 'signature'>): Uint8Array {
  const writer = new ByteWriter(80).fixed(vote.proposalHash).varBytes(vote.signer)
  return writer.u8(vote.accept).finish()
}

export function isProposalSigned(proposal: Confirm['proposal']): boolean {
  return verifyP256(proposal.signature, proposalSignedBytes(proposal), proposal.sponsor)
}

export function isVoteSigned(vote: ConfirmVote): boolean {
  return verifyP256(vote.signature, voteSignedBytes(vote), vote.signer)
}

/**
 * Everything about a Confirm that needs no knowledge of the arbiters: it is of this block, the
 * sponsor signed the proposal, and every vote accepts it, is signed, and is of another signer.
 * How many votes are enough, and whose, follows from the arbiters of that height.
 */
export function checkConfirm(confirm: Confirm, blockHash?: InternalHash): Result<undefined> {
  const { proposal, votes } = confirm
  if (blockHash && !bytesEqual(proposal.blockHash, blockHash)) {
    return fault('MAIN_CONFIRM_BLOCK', 'the Confirm is of another block')
  }
  if (!isProposalSigned(proposal)) {
    return fault('MAIN_CONFIRM_SIGNATURE', 'the proposal is not signed by its sponsor')
  }
  if (votes.length === 0) return fault('MAIN_CONFIRM_VOTES', 'the Confirm holds no vote')
  const hash = proposalHash(proposal)
  const signers = new Set(votes.map(({ signer }) => bytesToHex(signer)))
  if (signers.size !== votes.length) {
    return fault('MAIN_CONFIRM_VOTES', 'an arbiter voted twice in the Confirm')
  }
  for (const vote of votes) {
    if (!bytesEqual(vote.proposalHash, hash)) {
      return fault('MAIN_CONFIRM_VOTES', 'a vote of the Confirm is for another proposal')
    }
    if (vote.accept !== 1) {
      return fault('MAIN_CONFIRM_VOTES', 'a vote of the Confirm does not accept the proposal')
    }
    if (!isVoteSigned(vote)) {
      return fault('MAIN_CONFIRM_SIGNATURE', 'a vote of the Confirm is not signed by its arbiter')
    }
  }
  return ok()
}

/**
 * Whether more than two thirds of the arbiters accepted the block, `count` of them in all, whose
 * keys these are. Votes of strangers make the Confirm invalid, as on the main chain.
 */
export function checkConfirmQuorum(
  confirm: Confirm,
  blockHash: InternalHash,
  arbiters: readonly Uint8Array[],
  count = arbiters.length,
): Result<undefined> {
  const known = new Set(arbiters.map(bytesToHex))
  if (confirm.votes.some(({ signer }) => !known.has(bytesToHex(signer)))) {
    return fault('MAIN_CONFIRM_VOTES', 'a vote of the Confirm is of no arbiter')
  }
  if (confirm.votes.length * 3 <= count * 2) {
    return fault('MAIN_CONFIRM_VOTES', 'the Confirm has no more than two thirds of the arbiters')
  }
  return checkConfirm(confirm, blockHash)
}
