import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex } from '../bytes/hex.ts'
import { fault, type Result } from '../bytes/result.ts'
import { decodeAuxPow, encodeAuxPow } from './aux-pow.ts'
import {
  decodeBitcoinHeader,
  decodeBitcoinTransaction,
  encodeBitcoinHeader,
  encodeBitcoinTransaction,
} from './bitcoin.ts'
import {
  decodeBlock,
  decodeBlockPrefix,
  decodeDposBlock,
  decodeSideBlock,
  encodeBlock,
  encodeDposBlock,
} from './block.ts'
import { addToFilter, emptyBloomFilter, filterMatches } from './bloom-filter.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { decodeConfirm, encodeConfirm } from './confirm.ts'
import { asInternalHash, type InternalHash } from './hash-orientation.ts'
import {
  decodeHeader,
  decodeHeaderWithAuxPow,
  encodeHeader,
  encodeHeaderWithAuxPow,
} from './main-header.ts'
import { decodeMemoAnchor, encodeMemoAnchor, parseMemoAnchor } from './memo-anchor.ts'
import { merkleRoot } from './merkle.ts'
import {
  buildPartialTree,
  decodeMerkleBlock,
  decodeMerkleProof,
  encodeMerkleBlock,
  encodeMerkleProof,
  resolvePartialTree,
} from './merkle-block.ts'
import {
  decodeFrame,
  decodeFrameHeader,
  decodeMessage,
  decodeSideChainFilter,
  encodeFrame,
  encodeMessage,
  encodeSideChainFilter,
  MainNetMagic,
} from './p2p-message.ts'
import { formatElaAddress, parseCode, parseElaAddress } from './ela-address.ts'
import { parseSignatures } from './program-check.ts'
import { decodeSideAuxPow, encodeSideAuxPow } from './side-aux-pow.ts'
import { decodeTransaction, encodeTransaction, type MainTransaction } from './transaction.ts'
import type { MainOutput } from './transaction-output.ts'

/** Inputs per decoder; the nightly run sets a million. */
const RUNS = Number(process.env['IOEX_FUZZ_RUNS'] ?? 400)

/** Each decoder with the encoder that must give the same bytes back. */
interface Codec {
  readonly name: string
  readonly recode: (bytes: Uint8Array) => Result<Uint8Array>
}

function codec<T>(
  name: string,
  decode: (bytes: Uint8Array) => Result<T>,
  encode: (value: T) => Uint8Array,
): Codec {
  return {
    name,
    recode(bytes) {
      const decoded = decode(bytes)
      return decoded.ok ? { ok: true, value: encode(decoded.value) } : decoded
    },
  }
}

const COMMANDS: readonly string[] = (
  'version verack getaddr mempool filterclear ping pong addr txfilter filteradd getblocks inv ' +
  'getdata notfound reject merkleblock unknown'
).split(' ')

const codecs: readonly Codec[] = [
  codec('AuxPow', decodeAuxPow, encodeAuxPow),
  codec('Bitcoin header', decodeBitcoinHeader, encodeBitcoinHeader),
  codec('Bitcoin transaction', decodeBitcoinTransaction, encodeBitcoinTransaction),
  codec('block', decodeBlock, (block) =>
    encodeBlock(
      block.header,
      block.auxPow,
      block.transactions.map(({ transaction }) => encodeTransaction(transaction)),
    ),
  ),
  codec('block with Confirm', decodeDposBlock, encodeDposBlock),
  codec('side block', decodeSideBlock, (block) => {
    const raws = block.transactions.map(({ raw }) => raw)
    const writer = new ByteWriter().fixed(encodeHeader(block.header))
    writer.fixed(encodeSideAuxPow(block.proof)).u8(1).u32(raws.length)
    for (const raw of raws) writer.fixed(raw)
    return writer.finish()
  }),
  codec('header', decodeHeader, encodeHeader),
  codec(
    'P2P message',
    (bytes) => {
      const frame = decodeFrame(bytes, MainNetMagic.regression)
      return frame.ok ? decodeMessage(frame.value) : frame
    },
    (message) => encodeFrame(encodeMessage(message), MainNetMagic.regression),
  ),
  codec(
    'P2P payload without its frame',
    (bytes) => {
      const command = COMMANDS[(bytes[0] ?? 0) % COMMANDS.length] as string
      if (bytes[0] !== COMMANDS.indexOf(command)) return fault('MAIN_MESSAGE_UNKNOWN', 'no command')
      return decodeMessage({ command, payload: bytes.slice(1) })
    },
    (message) => {
      const first = COMMANDS.indexOf(message.command)
      return Uint8Array.of(first, ...encodeMessage(message).payload)
    },
  ),
  codec('side-chain filter', decodeSideChainFilter, encodeSideChainFilter),
  codec('Confirm', decodeConfirm, encodeConfirm),
  codec('memo anchor', decodeMemoAnchor, encodeMemoAnchor),
  codec('Merkle block', decodeMerkleBlock, encodeMerkleBlock),
  codec('Merkle proof', decodeMerkleProof, encodeMerkleProof),
  codec('SideAuxPow', decodeSideAuxPow, encodeSideAuxPow),
  codec(
    'transaction',
    (bytes) => decodeTransaction(bytes),
    ({ transaction }) => encodeTransaction(transaction),
  ),
  codec(
    'side transaction',
    (bytes) => decodeTransaction(bytes, 'side'),
    ({ transaction }) => encodeTransaction(transaction, 'side'),
  ),
]

const vectorFolder = new URL('../../../test/vectors/elastos/', import.meta.url)

/** Real bytes of every kind, from the vectors, to start mutations from. */
function seeds(): Uint8Array[] {
  const read = (name: string) => JSON.parse(readFileSync(new URL(name, vectorFolder), 'utf8'))
  const texts: string[] = [
    ...read('transactions.json').vectors.map((vector: { raw: string }) => vector.raw),
    ...read('main-blocks.json').blocks.map((block: { raw: string }) => block.raw),
    ...read('main-blocks.json').blocks.map((block: { raw: string }) => `${block.raw}00`),
    ...read('main-blocks.json').blocks.map((block: { raw: string }) => block.raw.slice(0, 168)),
    ...read('side-blocks.json').blocks.map((block: { raw: string }) => block.raw),
    ...read('side-auxpow.json').vectors.map((v: { sideauxpow_hex: string }) => v.sideauxpow_hex),
    ...read('auxpow.json').vectors.map((v: { auxpow_hex: string }) => v.auxpow_hex),
    ...read('spv-p2p.json').merkleblocks.map((v: { payload_hex: string }) => v.payload_hex),
    read('dpos-confirm.json').raw,
    ...read('spv-p2p.json').messages.flatMap(
      (message: { header_hex: string; payload_hex: string }) => [
        message.header_hex + message.payload_hex,
        message.payload_hex,
      ],
    ),
    ...read('withdraw-main.json').accepted.map((vector: { raw: string }) => vector.raw),
    `${read('main-blocks.json').blocks[0].raw}01${read('dpos-confirm.json').raw}`,
  ]
  const payloads = read('spv-p2p.json').messages.flatMap(
    ({ command, payload_hex }: { command: string; payload_hex: string }) => {
      const first = COMMANDS.indexOf(command)
      return first < 0 ? [] : [Uint8Array.of(first, ...fromHex(payload_hex))]
    },
  )
  return [...texts.map(fromHex), ...payloads]
}

const realBytes = seeds()

/** Bytes that are almost right: cut short, or with a few of them changed. */
const almost = (seed: fc.Arbitrary<Uint8Array>) =>
  fc
    .record({
      seed,
      cut: fc.nat(),
      shorten: fc.boolean(),
      changes: fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { maxLength: 4 }),
    })
    .map(({ seed, cut, shorten, changes }) => {
      const bytes = seed.slice(0, shorten ? cut % (seed.length + 1) : seed.length)
      for (const { at, byte } of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes
    })

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(asInternalHash)
const programHash = fc.uint8Array({ minLength: 21, maxLength: 21 })
const text = fc.string({ maxLength: 40 }).map((value) => value.replace(/[^\0-\xff]/g, '?'))
const amount = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })

const output = (typed: boolean): fc.Arbitrary<MainOutput> =>
  fc.record({
    assetId: hash,
    value: amount,
    outputLock: u32,
    programHash,
    payload: !typed
      ? fc.constant({ kind: 'none' } as const)
      : fc.oneof(
          fc.constant({ kind: 'none' } as const),
          fc.record({
            kind: fc.constant('cross-chain' as const),
            version: fc.nat(255),
            targetAddress: text,
            targetAmount: amount,
            targetData: fc.uint8Array({ maxLength: 1024 }),
          }),
          fc.record({
            kind: fc.constant('withdraw' as const),
            version: fc.nat(255),
            genesisAddress: text,
            sideTransactionHash: hash,
            targetData: fc.uint8Array({ maxLength: 64 }),
          }),
          fc.record({
            kind: fc.constant('return-deposit' as const),
            version: fc.nat(255),
            genesisAddress: text,
            depositHash: hash,
          }),
          fc.record({
            kind: fc.constant('mapping' as const),
            version: fc.nat(255),
            ownerKey: fc.uint8Array({ minLength: 33, maxLength: 33 }),
            sideProducerId: fc.uint8Array({ maxLength: 40 }),
            signature: fc.uint8Array({ maxLength: 64 }),
          }),
          fc.record({
            kind: fc.constant('stake' as const),
            version: fc.nat(255),
            stakeProgramHash: programHash,
          }),
        ),
  })

const transaction: fc.Arbitrary<MainTransaction> = fc.constantFrom(0, 9, 10).chain((version) =>
  fc.record({
    version: fc.constant(version),
    type: fc.constant(2),
    payloadVersion: fc.nat(255),
    payload: fc.constant({ kind: 'transfer' } as const),
    attributes: fc.array(
      fc.record({
        usage: fc.constantFrom(0x00, 0x20, 0x81, 0x90, 0x91, 0x92),
        data: fc.uint8Array({ maxLength: 300 }),
      }),
      { maxLength: 3 },
    ),
    inputs: fc.array(fc.record({ transactionId: hash, index: fc.nat(0xffff), sequence: u32 }), {
      maxLength: 4,
    }),
    outputs: fc.array(output(version >= 9), { maxLength: 4 }),
    lockTime: u32,
    programs: fc.array(
      fc.record({
        parameter: fc.uint8Array({ maxLength: 300 }),
        code: fc.uint8Array({ maxLength: 300 }),
      }),
      { maxLength: 3 },
    ),
  }),
)

/** Transactions with every kind of typed output, beside those of the vectors. */
const seededBytes = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...realBytes) },
  { weight: 1, arbitrary: transaction.map((value) => encodeTransaction(value)) },
)
const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 400 }), almost(seededBytes))

const partialTree = fc.record({
  transactionCount: fc.oneof(fc.nat(40), fc.nat(0xffff_ffff)),
  hashes: fc.array(hash, { maxLength: 12 }),
  flags: fc.uint8Array({ maxLength: 12 }),
})

describe('codec laws', () => {
  test.each(codecs)('$name: accepted bytes re-encode to themselves, nothing throws', (item) => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const recoded = item.recode(bytes)
        if (recoded.ok) expect(recoded.value).toEqual(bytes)
        else expect(recoded.fault.code).toMatch(/^MAIN_[A-Z0-9_]+$/)
      }),
      { numRuns: RUNS },
    )
  })

  test('a header before other bytes re-encodes to its own part', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const decoded = decodeHeaderWithAuxPow(bytes)
        if (!decoded.ok) return
        const { header, auxPow, length } = decoded.value
        expect(encodeHeaderWithAuxPow(header, auxPow)).toEqual(bytes.slice(0, length))
      }),
      { numRuns: RUNS },
    )
  })

  test('a block up to its first foreign transaction is what the whole block says, or a fault', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const whole = decodeBlock(bytes)
        const prefix = decodeBlockPrefix(bytes)
        if (whole.ok) {
          expect(prefix).toMatchObject({ ok: true, value: { foreign: undefined } })
        } else if (prefix.ok) {
          expect(whole.fault.code).toBe('MAIN_TRANSACTION_TYPE_UNKNOWN')
          expect(prefix.value.transactions).toHaveLength(prefix.value.foreign?.index ?? -1)
        } else {
          expect(prefix.fault).toEqual(whole.fault)
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('an ELA address is refused or is the one text of its program hash', () => {
    const known = ['EWkFCXQetfxxFhYzFwxntbzrMoe7q79yHs', 'XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ']
    const misspelt = fc
      .record({ address: fc.constantFrom(...known), at: fc.nat(33), with: fc.string() })
      .map(({ address, at, with: other }) => address.slice(0, at) + other + address.slice(at + 1))
    const anyText = fc.oneof(fc.string({ maxLength: 60 }), misspelt, fc.constantFrom(...known))
    fc.assert(
      fc.property(anyText, programHash, (value, owner) => {
        const parsed = parseElaAddress(value)
        if (parsed.ok) expect(formatElaAddress(parsed.value)).toBe(value)
        else expect(parsed.fault.code).toMatch(/^[A-Z][A-Z0-9_]+$/)
        const back = parseElaAddress(formatElaAddress(owner))
        if (back.ok) expect(back.value).toEqual(owner)
      }),
      { numRuns: RUNS },
    )
    for (const address of known) expect(parseElaAddress(address).ok).toBe(true)
  })

  test('decoders without an encoder do not throw either', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        parseMemoAnchor(bytes)
        parseCode(bytes)
        parseSignatures(bytes)
        decodeFrameHeader(bytes, MainNetMagic.regression)
      }),
      { numRuns: RUNS },
    )
  })

  test('any partial tree is resolved or refused', () => {
    fc.assert(
      fc.property(partialTree, (tree) => {
        const resolved = resolvePartialTree(tree)
        if (!resolved.ok) expect(resolved.fault.code).toMatch(/^MAIN_[A-Z0-9_]+$/)
      }),
      { numRuns: RUNS },
    )
  })

  test('a long list that the bytes cannot hold is refused before it is built', () => {
    const writer = new ByteWriter().u8(2).u8(0).varUint(0xffff)
    const decoded = decodeTransaction(writer.finish())
    expect(decoded).toMatchObject({ fault: { code: 'MAIN_BYTES_TRUNCATED' } })
    const huge = new ByteWriter().u8(2).u8(0).u8(0xff).u64(0xffff_ffff_ffff_ffffn).finish()
    expect(decodeTransaction(huge)).toMatchObject({ fault: { code: 'MAIN_FIELD_TOO_LONG' } })
  })
})

/** Two equal leaves side by side are refused in a tree, as nobody can make them. */
function distinct(ids: readonly InternalHash[]): InternalHash[] {
  return ids.map((id, index) => asInternalHash(Uint8Array.from(id).fill(index, 0, 1)))
}

describe('value laws', () => {
  test('a partial tree shows what it was built to show, and leads to the root', () => {
    const ids = fc.array(hash, { minLength: 1, maxLength: 40 }).map(distinct)
    fc.assert(
      fc.property(ids, fc.array(fc.nat(39)), (leaves, chosen) => {
        const shown = (index: number) => chosen.includes(index)
        const resolved = resolvePartialTree(buildPartialTree(leaves, shown))
        if (!resolved.ok) expect.fail(resolved.fault.message)
        expect(resolved.value.root).toEqual(merkleRoot(leaves))
        expect(resolved.value.matches).toEqual(
          leaves.map((id, index) => ({ index, id })).filter(({ index }) => shown(index)),
        )
      }),
    )
  })

  test('a filter never misses what was put in', () => {
    const elements = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(elements, u32, (items, tweak) => {
        const empty = emptyBloomFilter(items.length, 0.001, tweak)
        const filter = items.reduce(addToFilter, empty)
        for (const item of items) expect(filterMatches(filter, item)).toBe(true)
      }),
    )
  })

  test('a transaction survives encoding and decoding', () => {
    fc.assert(
      fc.property(transaction, (value) => {
        const decoded = decodeTransaction(encodeTransaction(value))
        expect(decoded).toMatchObject({ ok: true })
        if (decoded.ok) expect(decoded.value.transaction).toEqual(value)
      }),
    )
  })

  test('integers and lengths survive, and only the shortest length is read', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), u32, amount, text, (length, word, signed, label) => {
        const bytes = new ByteWriter(1).varUint(length).u32(word).i64(signed).byteString(label)
        const reader = new ByteReader(bytes.finish())
        const read = [reader.varUint(), reader.u32(), reader.i64(), reader.byteString(40)]
        expect(reader.result(read)).toEqual({ ok: true, value: [length, word, signed, label] })
      }),
    )
    for (const bytes of [
      'fdfc00',
      'fe0000ffff00',
      'feffff0000',
      'ff00000000ffffffff00',
      'fd0000',
    ]) {
      const reader = new ByteReader(fromHex(bytes))
      reader.varUint()
      expect(reader.failed || reader.remaining > 0).toBe(true)
    }
    for (const bytes of ['fdfc00', 'feffff0000', 'ffffffffff00000000']) {
      const reader = new ByteReader(fromHex(bytes))
      expect(reader.result(reader.varUint())).toMatchObject({
        fault: { code: 'MAIN_VARUINT_NOT_MINIMAL' },
      })
    }
  })
})
