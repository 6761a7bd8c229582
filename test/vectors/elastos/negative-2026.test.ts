import { fromHex, reversed } from '@ioex/chain/bytes'
import {
  checkProgram,
  checkSideAuxPow,
  decodeSideAuxPow,
  decodeTransaction,
  multisigCode,
  parseElaAddress,
  programHashOf,
  readDisplayHash,
  type SideAuxPow,
  sumOutputs,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

interface Case {
  readonly name: string
  readonly expected: string
  readonly outputs?: readonly string[]
  readonly outputs_le_hex?: readonly string[]
  readonly int64_wrapped_sum?: string
  readonly true_sum?: string
}

const file = readVectors<{ cases: readonly Case[] }>('negative-2026.json')

function caseOf(name: string): Case {
  const found = file.cases.find((item) => item.name === name)
  if (!found) expect.fail(`no case "${name}"`)
  expect(found.expected).toMatch(/^reject/)
  return found
}

/** A proof that the reference takes, to turn into what it wrongly takes too. */
function sample() {
  const { chain, vectors } = readVectors<{
    chain: { side_genesis_display: string }
    vectors: readonly { side_block_hash_internal: string; sideauxpow_hex: string }[]
  }>('side-auxpow.json')
  const [vector] = vectors
  if (!vector) expect.fail('the vector is missing')
  const proof = valueOf(decodeSideAuxPow(fromHex(vector.sideauxpow_hex)))
  const blockHash = internal(vector.side_block_hash_internal)
  const genesisHash = valueOf(readDisplayHash(chain.side_genesis_display))
  return { proof, side: { blockHash, genesisHash, bits: 0x207fffff } }
}

describe('negative-2026.json', () => {
  test('Fixed64 sum overflow (inflation)', () => {
    const inflation = caseOf('Fixed64 sum overflow (inflation)')
    const values = inflation.outputs?.map(BigInt) ?? []
    const written = inflation.outputs_le_hex?.map((hex) =>
      BigInt(`0x${Buffer.from(reversed(fromHex(hex))).toString('hex')}`),
    )
    expect(written).toEqual(values)
    const sum = values.reduce((total, value) => total + value, 0n)
    expect(sum).toBe(BigInt(inflation.true_sum ?? 0))
    expect(BigInt.asIntN(64, sum)).toBe(BigInt(inflation.int64_wrapped_sum ?? 0))
    expect(faultCode(sumOutputs(values.map((value) => ({ value }))))).toBe('MAIN_OUTPUT_VALUE')
    expect(faultCode(sumOutputs([{ value: 5n }, { value: -1n }]))).toBe('MAIN_OUTPUT_VALUE')
    expect(sumOutputs([{ value: 5n }, { value: 6n }])).toEqual({ ok: true, value: 11n })
  })

  test('X-prefix input spent by a foreign program', () => {
    caseOf('X-prefix input spent by a foreign program')
    const { rejected, arbiter_keys } = readVectors<{
      rejected: readonly { name: string; raw?: string }[]
      arbiter_keys: readonly { pub: string }[]
    }>('withdraw-main.json')
    const theft = rejected.find(({ name }) => name.startsWith('plain transfer'))
    const { transaction, unsigned } = valueOf(decodeTransaction(fromHex(theft?.raw ?? '')))
    const [program] = transaction.programs
    if (!program) expect.fail('the program is missing')
    const owner = valueOf(parseElaAddress('XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ'))
    // The signature itself is good: only the owner tells it from a payment.
    const own = programHashOf(0x21, program.code)
    expect(faultCode(checkProgram(program, own, unsigned))).toBeUndefined()
    expect(faultCode(checkProgram(program, owner, unsigned))).toBe('MAIN_PROGRAM_HASH')
    const disguised = Uint8Array.from(own)
    disguised[0] = 0x4b
    const refused = faultCode(checkProgram(program, disguised, unsigned))
    expect(['MAIN_PROGRAM_CODE', 'MAIN_PROGRAM_HASH']).toContain(refused)
    const keys = arbiter_keys.map(({ pub }) => fromHex(pub))
    const multisig = { ...program, code: multisigCode(4, keys) }
    expect(checkProgram(multisig, owner, unsigned).ok).toBe(false)
  })

  test('SideAuxPow carrying a non SideChainPow transaction', () => {
    caseOf('SideAuxPow carrying a non SideChainPow transaction')
    const { proof, side } = sample()
    expect(faultCode(checkSideAuxPow(proof, side))).toBeUndefined()
    const { transaction } = proof.transaction
    for (const changes of [{ type: 2 }, { payloadVersion: 1 }, { payload: { kind: 'transfer' } }]) {
      const foreign = {
        ...proof,
        transaction: { ...proof.transaction, transaction: { ...transaction, ...changes } },
      } as SideAuxPow
      expect(faultCode(checkSideAuxPow(foreign, side))).toBe('MAIN_ANCHOR_TYPE')
    }
  })

  test('SideChainPow of another side chain (other SideGenesisHash)', () => {
    caseOf('SideChainPow of another side chain (other SideGenesisHash)')
    const { proof, side } = sample()
    const genesisHash = internal('55'.repeat(32))
    expect(faultCode(checkSideAuxPow(proof, { ...side, genesisHash }))).toBe('MAIN_ANCHOR_GENESIS')
  })
})
