import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { publicKeyOf, sign } from '../bytes/signature.ts'
import {
  decodeMemoAnchor,
  encodeMemoAnchor,
  MEMO_ANCHOR_BYTES,
  type MemoAnchor,
  memoAnchorAttribute,
  memoAnchorDigest,
  parseMemoAnchor,
  verifyMemoAnchor,
} from './memo-anchor.ts'
import { type Attribute, encodeTransaction, type MainTransaction } from './transaction.ts'

const secretKey = new Uint8Array(32).fill(3)
const chainId = new Uint8Array(32).fill(5)

function signed(epoch: number, validatorIndex = 2): MemoAnchor {
  const commitment = {
    sideGenesisHash: chainId,
    epoch,
    checkpointHash: new Uint8Array(32).fill(8),
    validatorIndex,
  }
  return { ...commitment, signature: sign(memoAnchorDigest(commitment, chainId), secretKey) }
}

function transactionWith(attributes: Attribute[]): Uint8Array {
  const transaction: MainTransaction = {
    version: 9,
    type: 2,
    payloadVersion: 0,
    payload: { kind: 'transfer' },
    attributes,
    inputs: [],
    outputs: [],
    lockTime: 0,
    programs: [],
  }
  return encodeTransaction(transaction)
}

const code = (result: { ok: true } | { ok: false; fault: { code: string } }) =>
  result.ok ? undefined : result.fault.code

describe('memo anchor', () => {
  test('has one fixed layout', () => {
    const bytes = encodeMemoAnchor(signed(7))
    expect(bytes).toHaveLength(MEMO_ANCHOR_BYTES)
    expect(MEMO_ANCHOR_BYTES).toBe(143)
    expect(Buffer.from(bytes.subarray(0, 5)).toString('latin1')).toBe('ioeX\x01')
    expect(Buffer.from(bytes).readBigUInt64LE(37)).toBe(7n)
    expect(Buffer.from(bytes).readUInt16LE(77)).toBe(2)
  })

  test('is found in a transaction and verified', () => {
    const anchor = signed(7)
    const nonce = { usage: 0, data: new Uint8Array(8) }
    const found = parseMemoAnchor(transactionWith([nonce, memoAnchorAttribute(anchor)]))
    expect(found).toMatchObject({ ok: true, value: { anchor } })
    expect(code(verifyMemoAnchor(anchor, chainId, publicKeyOf(secretKey)))).toBeUndefined()
  })

  test('any change of a committed field breaks it', () => {
    const anchor = signed(7)
    const key = publicKeyOf(secretKey)
    const verify = (changes: Partial<MemoAnchor>) =>
      code(verifyMemoAnchor({ ...anchor, ...changes }, chainId, key))
    expect(verify({ epoch: 8 })).toBe('MAIN_ANCHOR_SIGNATURE')
    expect(verify({ validatorIndex: 3 })).toBe('MAIN_ANCHOR_SIGNATURE')
    expect(verify({ checkpointHash: chainId })).toBe('MAIN_ANCHOR_SIGNATURE')
    expect(verify({ sideGenesisHash: new Uint8Array(32) })).toBe('MAIN_ANCHOR_GENESIS')
    const otherKey = publicKeyOf(new Uint8Array(32).fill(4))
    expect(code(verifyMemoAnchor(anchor, chainId, otherKey))).toBe('MAIN_ANCHOR_SIGNATURE')
  })

  test('foreign memos, two anchors, other versions, impossible epochs are refused', () => {
    const memo = memoAnchorAttribute(signed(7))
    const foreign = { usage: 0x81, data: new TextEncoder().encode('type:text,msg:hello') }
    expect(code(parseMemoAnchor(transactionWith([foreign])))).toBe('MAIN_ANCHOR_MEMO')
    expect(code(parseMemoAnchor(transactionWith([foreign, memo])))).toBeUndefined()
    expect(code(parseMemoAnchor(transactionWith([memo, memo])))).toBe('MAIN_ANCHOR_MEMO')
    expect(code(parseMemoAnchor(transactionWith([{ ...memo, usage: 0x90 }])))).toBe(
      'MAIN_ANCHOR_MEMO',
    )
    for (const [at, byte] of [
      [4, 2],
      [44, 0xff],
    ] as const) {
      const data = Uint8Array.from(memo.data)
      data[at] = byte
      expect(code(decodeMemoAnchor(data))).toBe('MAIN_ANCHOR_MEMO')
    }
    expect(code(parseMemoAnchor(new Uint8Array(0)))).toBe('MAIN_BYTES_TRUNCATED')
  })

  test('survives encoding for any epoch and validator', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(0xffff), (epoch, validatorIndex) => {
        const anchor = { ...signed(1), epoch, validatorIndex }
        expect(decodeMemoAnchor(encodeMemoAnchor(anchor))).toEqual({ ok: true, value: anchor })
      }),
    )
  })
})
