import { readdirSync, readFileSync } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { decodeBlock, encodeBlock } from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { runCommandLine } from '../program.ts'
import { decodeText } from './decode.ts'
import type { DecodeKind } from './decode-kinds.ts'
import { describeAddress } from './describe-address.ts'

const folder = new URL('../../../test/vectors/elastos/', import.meta.url)
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

interface Answer {
  readonly valid: boolean
  readonly reason?: string
  readonly code?: string
}

function decode(kind: DecodeKind, hex: string, against?: string, genesis?: string): Answer {
  const bytes = (text: string | undefined) =>
    text === undefined ? undefined : Uint8Array.from(Buffer.from(text, 'hex'))
  const decoded = decodeText(kind, hex, {
    against: bytes(against),
    genesis: bytes(genesis),
    dialect: 'main',
  })
  if (!decoded.ok) expect.fail(decoded.fault.message)
  return decoded.value as Answer
}

async function ioex(args: readonly string[], stdin = '') {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await runCommandLine(args, {
    stdout,
    stderr,
    stdin: Readable.from([stdin]),
    env: {},
    folder: '/',
  })
  const text = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: text(stdout), err: text(stderr) }
}

const flipped = (hex: string) => (hex.startsWith('00') ? `01${hex.slice(2)}` : `00${hex.slice(2)}`)
const reversed = (hex: string) => Buffer.from(hex, 'hex').reverse().toString('hex')

describe('vectors through decode', () => {
  test('AuxPow: for its block only, in the internal orientation only', () => {
    for (const vector of read('auxpow.json').vectors) {
      const { auxpow_hex: hex, aux_block_hash_hex: hash } = vector
      expect(decode('auxpow', hex, hash)).toMatchObject({ valid: true })
      expect(decode('auxpow', hex)).toMatchObject({ valid: true })
      expect(decode('auxpow', hex, flipped(hash))).toMatchObject({ code: 'MAIN_AUXPOW_ROOT' })
      expect(decode('auxpow', hex, reversed(hash))).toMatchObject({ valid: false })
      expect(decode('auxpow', `${hex}00`)).toMatchObject({ code: 'MAIN_BYTES_TRAILING' })
      expect(decode('auxpow', hex.slice(2))).toMatchObject({ valid: false })
    }
  })

  test('SideAuxPow: block, genesis, and the negatives with a reason', () => {
    const { vectors, negative, chain } = read('side-auxpow.json')
    const genesis = reversed(chain.side_genesis_display)
    for (const vector of vectors) {
      const hash = vector.side_block_hash_internal
      const answer = decode('side-auxpow', vector.sideauxpow_hex, hash, genesis)
      expect(answer).toMatchObject({ valid: true, signedByPayer: true })
      expect(decode('side-auxpow', vector.sideauxpow_hex)).toMatchObject({ valid: true })
      expect(decode('side-auxpow', vector.sideauxpow_hex, flipped(hash))).toMatchObject({
        valid: false,
        code: 'MAIN_ANCHOR_BLOCK',
      })
      expect(decode('side-auxpow', vector.sideauxpow_hex, hash, hash)).toMatchObject({
        code: 'MAIN_ANCHOR_GENESIS',
      })
    }
    for (const vector of negative) {
      const answer = decode('side-auxpow', vector.sideauxpow_hex, vector.side_block_hash_internal)
      expect(answer.valid).toBe(false)
      expect(answer.reason).toMatch(/\w/)
    }
  })

  test('blocks and headers of both chains, genesis trusted by hash', () => {
    const { blocks, genesis } = read('main-blocks.json')
    for (const { raw, expected } of blocks) {
      expect(decode('block', raw, expected.hash_internal)).toMatchObject({
        valid: true,
        header: {
          hash: { internal: expected.hash_internal, display: expected.hash_display },
          height: expected.height,
        },
      })
      expect(decode('block', raw, expected.hash_display)).toMatchObject({ valid: true })
      expect(decode('block', raw, flipped(expected.hash_internal)).valid).toBe(false)
      expect(decode('header', raw).valid).toBe(false)
    }
    for (const vector of genesis) {
      expect(decode('block', vector.block_raw)).toMatchObject({ valid: true })
      expect(decode('header', vector.header_no_aux, vector.hash_internal)).toMatchObject({
        valid: true,
        auxPow: null,
      })
    }
    for (const { raw, expected } of read('side-blocks.json').blocks) {
      const answer = decode('block', raw)
      expect(answer).toMatchObject({ valid: true, chain: 'side' })
      expect(answer).toMatchObject({ header: { hash: { display: expected.hash_display } } })
    }
    const confirm = read('dpos-confirm.json')
    expect(decode('block', `${blocks[0].raw}01${confirm.raw}`)).toMatchObject({
      code: 'MAIN_CONFIRM_BLOCK',
    })
  })

  test('a block with a transaction of a foreign type: the header counts, the rest is told', () => {
    const { blocks } = read('main-blocks.json')
    for (const { raw, expected } of blocks.slice(0, 2)) {
      const block = decodeBlock(Uint8Array.from(Buffer.from(raw, 'hex')))
      if (!block.ok) expect.fail(block.fault.message)
      const { header, auxPow, transactions } = block.value
      const first = transactions.slice(0, 1).map((transaction) => transaction.raw)
      // A vote producer transaction (version 9, type 0x09) and a record (type 0x03).
      for (const start of ['090900', '0300']) {
        const foreign = Buffer.from(`${start}${'ab'.repeat(60)}`, 'hex')
        const bytes = encodeBlock(header, auxPow, [...first, foreign, foreign])
        const hex = Buffer.from(bytes).toString('hex')
        const answer = decode('block', hex, expected.hash_internal)
        expect(answer).toMatchObject({
          valid: true,
          complete: false,
          header: { hash: { internal: expected.hash_internal } },
          transactionCount: 3,
          transactions: [{ txid: { internal: expect.stringMatching(/^[0-9a-f]{64}$/) } }],
          undecoded: {
            index: 1,
            typeByte: start === '090900' ? '0x09' : '0x03',
            payloadVersion: 0,
            offset: bytes.length - 2 * foreign.length,
            bytes: 2 * foreign.length,
            transactions: 2,
            reason: expect.stringContaining('type not known here'),
          },
        })
        expect(decode('block', hex, flipped(expected.hash_internal)).valid).toBe(false)
        // A header without its work is refused whatever stands behind it.
        const worthless = encodeBlock({ ...header, nonce: header.nonce ^ 1 }, auxPow, [foreign])
        expect(decode('block', Buffer.from(worthless).toString('hex')).valid).toBe(false)
        const cut = [...first, Uint8Array.of(2, 0, 1, 0x55, 0)]
        const broken = encodeBlock(header, auxPow, [...cut, foreign])
        expect(decode('block', Buffer.from(broken).toString('hex'))).toMatchObject({
          valid: false,
          code: 'MAIN_ATTRIBUTE_UNKNOWN',
        })
      }
    }
  })

  test('transactions: id, amounts, programs', () => {
    for (const vector of read('transactions.json').vectors) {
      const answer = decode('transaction', vector.raw)
      expect(answer).toMatchObject({ valid: true })
      if (vector.hash_internal) {
        expect(answer).toMatchObject({ txid: { internal: vector.hash_internal } })
        expect(decode('transaction', vector.raw, vector.hash_internal).valid).toBe(true)
        expect(decode('transaction', vector.raw, flipped(vector.hash_internal)).valid).toBe(false)
      }
    }
    const { accepted, rejected } = read('withdraw-main.json')
    for (const { raw } of accepted) {
      const programs = [{ signatures: 'valid', crossChain: true }]
      expect(decode('transaction', raw)).toMatchObject({ valid: true, programs })
    }
    const tail = rejected.find(({ name }: { name: string }) => name.includes('AE instead of AF'))
    expect(decode('transaction', tail.raw)).toMatchObject({ code: 'MAIN_PROGRAM_CODE' })
  })

  test('an output sum that wraps around int64 is not valid', () => {
    const { vectors } = read('transactions.json')
    const { raw } = vectors.find(({ name }: { name: string }) =>
      name.startsWith('TransferAsset v0x09'),
    )
    const value = /b037db964a231458d2d6ffd5ea18944c4f90e63d547c5d3b9874df66a4ead0a3(.{16})/.exec(
      raw,
    )
    if (!value?.[1]) expect.fail('the output is missing')
    expect(decode('transaction', raw.replace(value[1], '927574bf86d2ff7f'))).toMatchObject({
      code: 'MAIN_OUTPUT_VALUE',
    })
    expect(decode('transaction', raw.replace(value[1], 'ffffffffffffffff'))).toMatchObject({
      code: 'MAIN_OUTPUT_VALUE',
    })
  })

  test('merkle blocks, for the block or a transaction they show', () => {
    const { merkleblocks, selective_filter } = read('spv-p2p.json')
    for (const vector of [...merkleblocks, ...selective_filter.merkleblocks]) {
      const { payload_hex: hex, expected } = vector
      expect(decode('merkle-block', hex, expected.block_hash_display)).toMatchObject({
        valid: true,
      })
      for (const { hash } of expected.matched_leaves) {
        expect(decode('merkle-block', hex, hash)).toMatchObject({ valid: true })
        expect(decode('merkle-block', hex, flipped(hash))).toMatchObject({ valid: false })
      }
    }
  })

  test('Confirm and addresses', () => {
    const { raw, block_hash_internal } = read('dpos-confirm.json')
    expect(decode('confirm', raw, block_hash_internal)).toMatchObject({ valid: true })
    expect(decode('confirm', raw, flipped(block_hash_internal))).toMatchObject({
      code: 'MAIN_CONFIRM_BLOCK',
    })
    expect(decode('confirm', `${raw.slice(0, -2)}00`)).toMatchObject({
      code: 'MAIN_CONFIRM_SIGNATURE',
    })
    for (const vector of read('crosschain-addresses.json').vectors) {
      for (const text of [vector.address, vector.genesis_hash_internal, vector.code]) {
        expect(describeAddress(text, vector.address)).toMatchObject({
          valid: true,
          address: vector.address,
          programHash: vector.program_hash,
        })
      }
      expect(describeAddress(vector.genesis_hash_display, vector.address)).toMatchObject({
        valid: false,
        wrongIfReversed: vector.address,
      })
    }
    const { key_pairs, known_addresses } = read('addresses-keys.json')
    for (const { public_key_compressed, address } of key_pairs.rows) {
      expect(describeAddress(public_key_compressed, address)).toMatchObject({
        valid: true,
        address,
      })
    }
    for (const { address, program_hash } of known_addresses) {
      expect(describeAddress(program_hash, address)).toMatchObject({ valid: true, address })
      const misspelt = `${address.slice(0, -1)}${address.endsWith('1') ? '2' : '1'}`
      expect(describeAddress(misspelt, undefined)).toMatchObject({ valid: false })
    }
  })

  test('no vector file is without a runner', () => {
    const files = readdirSync(folder)
    const vectors = files.filter((name) => name.endsWith('.json'))
    const missing = vectors.filter((name) => !files.includes(name.replace(/json$/, 'test.ts')))
    expect(missing).toEqual([])
  })
})

describe('the command', () => {
  test('prints JSON, reads standard input, says what is wrong with its arguments', async () => {
    const [vector] = read('auxpow.json').vectors
    const hash = vector.aux_block_hash_hex
    const given = ['anchor', 'decode', 'auxpow', vector.auxpow_hex, '--against', hash]
    const first = await ioex([...given, '--json'])
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(first.out)).toMatchObject({ kind: 'auxpow', valid: true })
    expect(JSON.parse((await ioex(given)).out)).toEqual(JSON.parse(first.out))
    const piped = await ioex(['anchor', 'decode', 'auxpow', '-'], `${vector.auxpow_hex}\n`)
    expect(JSON.parse(piped.out)).toMatchObject({ valid: true })
    const cut = await ioex(['anchor', 'decode', 'header', '00ff'])
    expect(cut.code).toBe(0)
    expect(JSON.parse(cut.out)).toMatchObject({ valid: false, code: 'MAIN_BYTES_TRUNCATED' })
  })

  test.each([
    ['header', 'xyz'],
    ['header', '0'],
    ['nonsense', '00'],
    ['header', '00', '--against', '12'],
    ['header', '00', '--against', 'g'.repeat(64)],
  ])('%s %s is a usage error', async (...args) => {
    const outcome = await ioex(['anchor', 'decode', ...args])
    expect(outcome.code).toBe(2)
    expect(outcome.err).toMatch(/^ioex: /)
  })

  test.each([
    ['--trust-anchor', 'genesis.json'],
    ['--forks', 'forks.json'],
  ])('verify %s without an export is a usage error, not ignored', async (...flags) => {
    const outcome = await ioex(['anchor', 'verify', '1', ...flags])
    expect(outcome).toMatchObject({ code: 2, out: '' })
    expect(outcome.err).toContain(`${flags[0]} needs --from`)
  })

  test('endless input is cut off', async () => {
    const outcome = await ioex(['anchor', 'decode', 'block', '-'], '0'.repeat(19_000_000))
    expect(outcome).toMatchObject({ code: 2, out: '' })
  })
})
