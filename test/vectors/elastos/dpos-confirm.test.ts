import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkConfirm,
  checkConfirmQuorum,
  decodeConfirm,
  encodeConfirm,
  isProposalSigned,
  isVoteSigned,
  proposalHash,
  proposalSignedBytes,
  toInternalHex,
  voteSignedBytes,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

const vector = readVectors<{
  block_hash_internal: string
  proposal_hash_internal: string
  proposal_sign_data: string
  raw: string
  sponsor: string
  view_offset: number
  votes: readonly { accept: boolean; sign: string; sign_data: string; signer: string }[]
}>('dpos-confirm.json')

describe('dpos-confirm.json', () => {
  test('layout, signed bytes, signatures', () => {
    const confirm = valueOf(decodeConfirm(fromHex(vector.raw)))
    expect(bytesToHex(encodeConfirm(confirm))).toBe(vector.raw)
    expect(bytesToHex(proposalSignedBytes(confirm.proposal))).toBe(vector.proposal_sign_data)
    expect(toInternalHex(proposalHash(confirm.proposal))).toBe(vector.proposal_hash_internal)
    expect(toInternalHex(confirm.proposal.blockHash)).toBe(vector.block_hash_internal)
    expect(confirm.proposal.viewOffset).toBe(vector.view_offset)
    expect(bytesToHex(confirm.proposal.sponsor)).toBe(vector.sponsor)
    expect(isProposalSigned(confirm.proposal)).toBe(true)
    expect(confirm.votes).toHaveLength(vector.votes.length)
    confirm.votes.forEach((vote, index) => {
      expect(bytesToHex(voteSignedBytes(vote))).toBe(vector.votes[index]?.sign_data)
      expect(bytesToHex(vote.signature)).toBe(vector.votes[index]?.sign)
      expect(isVoteSigned(vote)).toBe(true)
      expect(isVoteSigned({ ...vote, accept: 0 })).toBe(false)
    })
  })

  test('a claimed number of votes beyond the bytes is refused at once', () => {
    const bytes = fromHex(vector.raw)
    const start = vector.proposal_sign_data.length / 2 + 1 + 64
    bytes.fill(0xff, start, start + 8)
    expect(faultCode(decodeConfirm(bytes))).toBe('MAIN_FIELD_TOO_LONG')
  })

  test('every changed byte is noticed', () => {
    const bytes = fromHex(vector.raw)
    const blockHash = internal(vector.block_hash_internal)
    expect(faultCode(checkConfirm(valueOf(decodeConfirm(bytes)), blockHash))).toBeUndefined()
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      const decoded = decodeConfirm(changed)
      expect(decoded.ok && checkConfirm(decoded.value, blockHash).ok, `byte ${at}`).toBe(false)
    }
  })

  test('more than two thirds of the arbiters, each once, no stranger', () => {
    const confirm = valueOf(decodeConfirm(fromHex(vector.raw)))
    const blockHash = internal(vector.block_hash_internal)
    const signer = fromHex(vector.votes[0]?.signer ?? '')
    const sponsor = fromHex(vector.sponsor)
    const code = (arbiters: Uint8Array[], votes = confirm.votes) =>
      faultCode(checkConfirmQuorum({ ...confirm, votes }, blockHash, arbiters))
    expect(code([signer])).toBeUndefined()
    expect(code([signer, sponsor])).toBe('MAIN_CONFIRM_VOTES')
    expect(code([sponsor])).toBe('MAIN_CONFIRM_VOTES')
    expect(code([signer], [...confirm.votes, ...confirm.votes])).toBe('MAIN_CONFIRM_VOTES')
    expect(code([], [])).toBe('MAIN_CONFIRM_VOTES')
    expect(faultCode(checkConfirm(confirm, internal('00'.repeat(32))))).toBe('MAIN_CONFIRM_BLOCK')
  })
})
