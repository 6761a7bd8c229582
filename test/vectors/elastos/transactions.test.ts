import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  ByteReader,
  ByteWriter,
  checkProgram,
  decodeTransaction,
  encodeTransaction,
  encodeUnsignedTransaction,
  parseCode,
  readOutput,
  standardProgramHash,
  toDisplayHash,
  toInternalHex,
  writeOutput,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, readVectors, valueOf } from './vector-file.ts'

interface Vector {
  readonly name: string
  readonly raw: string
  readonly unsigned?: string
  readonly unsigned_bytes?: string
  readonly hash_internal?: string
  readonly txid_rpc?: string
  readonly txid_display?: string
  readonly expected_txid_display?: string
  readonly expected_hash_internal?: string
  readonly program_signatures_valid?: readonly boolean[]
  readonly decoded?: {
    readonly version: number
    readonly type: number
    readonly payloadVersion: number
    readonly attributes: readonly { readonly usage: number; readonly data: string }[]
    readonly inputs: readonly { txid: string; index: number; sequence: number }[]
    readonly outputs: readonly { value: string; outputLock: number; programHash: string }[]
    readonly lockTime: number
    readonly programs: readonly { parameter: string; code: string }[]
  }
}

const file = readVectors<{
  output_v9_vote: { hex: string }
  vectors: readonly Vector[]
}>('transactions.json')

const known = file.vectors

/** Printed by a node that did not turn hashes round yet: its text is the internal orientation. */
const isPrintedInternal = (vector: Vector) => vector.name.startsWith('CRCProposal')

describe('transactions.json', () => {
  test.each(known)('$name', (vector) => {
    // Every side-chain transaction among the vectors is also valid main-chain bytes.
    const { transaction, id, unsigned } = valueOf(decodeTransaction(fromHex(vector.raw)))
    expect(bytesToHex(encodeTransaction(transaction))).toBe(vector.raw)
    expect(encodeUnsignedTransaction(transaction)).toEqual(unsigned)
    const expectedUnsigned = vector.unsigned ?? vector.unsigned_bytes
    if (expectedUnsigned) expect(bytesToHex(unsigned)).toBe(expectedUnsigned)
    if (vector.hash_internal) expect(toInternalHex(id)).toBe(vector.hash_internal)
    if (vector.expected_hash_internal) {
      expect(toInternalHex(id)).toBe(vector.expected_hash_internal)
    }
    for (const text of [vector.txid_rpc, vector.txid_display, vector.expected_txid_display]) {
      if (!text) continue
      expect(isPrintedInternal(vector) ? toInternalHex(id) : toDisplayHash(id)).toBe(text)
    }
    const { decoded } = vector
    if (!decoded) return
    expect(transaction).toMatchObject({
      version: decoded.version,
      type: decoded.type,
      payloadVersion: decoded.payloadVersion,
      lockTime: decoded.lockTime,
    })
    expect(
      transaction.attributes.map(({ usage, data }) => ({ usage, data: bytesToHex(data) })),
    ).toEqual(decoded.attributes)
    expect(
      transaction.inputs.map(({ transactionId, index, sequence }) => ({
        txid: toInternalHex(transactionId),
        index,
        sequence,
      })),
    ).toEqual(decoded.inputs)
    expect(
      transaction.outputs.map(({ value, outputLock, programHash }) => ({
        value: String(value),
        outputLock,
        programHash: bytesToHex(programHash),
      })),
    ).toMatchObject(
      decoded.outputs.map(({ value, outputLock, programHash }) => ({
        value,
        outputLock,
        programHash,
      })),
    )
    expect(
      transaction.programs.map(({ parameter, code }) => ({
        parameter: bytesToHex(parameter),
        code: bytesToHex(code),
      })),
    ).toEqual(decoded.programs)
  })

  test.each(known.filter((vector) => vector.program_signatures_valid))(
    'signatures of $name',
    (vector) => {
      const { transaction, unsigned } = valueOf(decodeTransaction(fromHex(vector.raw)))
      transaction.programs.forEach((program, index) => {
        const code = valueOf(parseCode(program.code))
        if (code.kind !== 'standard') expect.fail('the vector says it is a standard program')
        const owner = standardProgramHash(code.publicKey)
        const valid = checkProgram(program, owner, unsigned).ok
        expect(valid).toBe(vector.program_signatures_valid?.[index])
        const other = Uint8Array.from(unsigned)
        other[other.length - 1] = (other[other.length - 1] as number) ^ 1
        expect(faultCode(checkProgram(program, owner, other))).toBe('MAIN_PROGRAM_SIGNATURE')
      })
    },
  )

  test('a type outside the codec is a fault, not an exception', () => {
    const decoded = decodeTransaction(fromHex('090900000000000000000000'))
    expect(faultCode(decoded)).toBe('MAIN_TRANSACTION_TYPE_UNKNOWN')
  })

  test('a version 9 output with a vote', () => {
    const bytes = fromHex(file.output_v9_vote.hex)
    const reader = new ByteReader(bytes)
    const output = valueOf(reader.result(readOutput(reader, true)))
    expect(output.value).toBe(100_000n)
    expect(output.payload.kind).toBe('vote')
    const writer = new ByteWriter()
    writeOutput(writer, output, true)
    expect(writer.finish()).toEqual(bytes)
  })

  test('payloads by kind', () => {
    const byName = (start: string) => {
      const vector = known.find(({ name }) => name.startsWith(start))
      if (!vector) expect.fail(`no vector ${start}`)
      return valueOf(decodeTransaction(fromHex(vector.raw))).transaction
    }
    expect(byName('TransferCrossChainAsset payload V0').payload).toEqual({
      kind: 'cross-chain',
      targets: [
        { address: 'EHVji5Gyrwaqz8ij1JR1VxVWW4keWdBqXn', outputIndex: 0, amount: 20_000_000n },
      ],
    })
    expect(byName('TransferCrossChainAsset payload V1').outputs[0]?.payload).toMatchObject({
      kind: 'cross-chain',
      targetAddress: 'EHVji5Gyrwaqz8ij1JR1VxVWW4keWdBqXn',
      targetAmount: 150_000_000n,
    })
    expect(byName('RevertToPOW').payload).toEqual({
      kind: 'revert-to-pow',
      revertType: 0,
      workingHeight: 1000,
    })
    expect(byName('RevertToDPOS').payload).toEqual({
      kind: 'revert-to-dpos',
      workHeightInterval: 10,
      revertToPowHeight: 1000,
    })
    expect(byName('WithdrawFromSideChain payload V2').payload.kind).toBe('withdraw-schnorr')
    expect(byName('CRCProposal').payload).toMatchObject({
      kind: 'council-proposal',
      proposalType: 0x400,
      category: '111',
      content: { kind: 'secretary' },
    })
    expect(byName('NextTurnDPOSInfo').payload).toMatchObject({ workingHeight: 1036 })
  })
})
