import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes } from '../bytes/hex.ts'
import { FrameAssembler } from './frame-assembler.ts'
import { asInternalHash } from './hash-orientation.ts'
import {
  decodeFrame,
  decodeMessage,
  encodeFrame,
  encodeMessage,
  FRAME_HEADER_BYTES,
  type Frame,
  MainNetMagic,
  type P2pMessage,
} from './p2p-message.ts'

const RUNS = Number(process.env['IOEX_FUZZ_RUNS'] ?? 400)
const magic = MainNetMagic.regression

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(asInternalHash)
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const item = fc.record({ kind: u32, hash })

const message: fc.Arbitrary<P2pMessage> = fc.oneof(
  fc.record({
    command: fc.constant('version' as const),
    version: fc.constantFrom(20_000, 70_000),
    services: u64,
    timestamp: u32,
    port: fc.nat(0xffff),
    nonce: u64,
    height: u64,
    relay: fc.boolean(),
    nodeName: fc.constant(undefined),
  }),
  fc.record({
    command: fc.constantFrom('verack', 'getaddr', 'mempool', 'filterclear'),
  }),
  fc.record({ command: fc.constantFrom('ping', 'pong'), height: u64 }),
  fc.record({
    command: fc.constant('addr' as const),
    addresses: fc.array(
      fc.record({
        lastSeen: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
        services: u64,
        ip: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        port: fc.nat(0xffff),
      }),
      { maxLength: 5 },
    ),
  }),
  fc.record({
    command: fc.constant('txfilter' as const),
    filterKind: fc.nat(255),
    data: bytes(300),
  }),
  fc.record({ command: fc.constant('filteradd' as const), element: bytes(520) }),
  fc.record({
    command: fc.constant('getblocks' as const),
    locator: fc.array(hash, { maxLength: 20 }),
    stop: hash,
  }),
  fc.record({
    command: fc.constantFrom('inv', 'getdata', 'notfound'),
    items: fc.array(item, { maxLength: 20 }),
  }),
  fc.record({
    command: fc.constant('reject' as const),
    rejected: fc.constantFrom('tx', 'block', 'version'),
    code: fc.nat(255),
    reason: fc.constantFrom('', 'double spend'),
    hash,
  }),
  fc.record({
    command: fc.constantFrom('filterload', 'merkleblock', 'tx', 'block'),
    payload: bytes(9000),
  }),
) as fc.Arbitrary<P2pMessage>

/** Cuts bytes at arbitrary places. */
function pieces(whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, i) => whole.subarray(from, places[i] ?? whole.length))
}

function framesOf(assembler: FrameAssembler, parts: readonly Uint8Array[]): Frame[] | string {
  const frames: Frame[] = []
  for (const part of parts) {
    const cut = assembler.push(part)
    if (!cut.ok) return cut.fault.code
    frames.push(...cut.value)
  }
  return frames
}

describe('frame assembler', () => {
  test('whatever the pieces, the messages come out as they went in', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (messages, cuts) => {
          const stream = concatBytes(
            ...messages.map((each) => encodeFrame(encodeMessage(each), magic)),
          )
          const assembler = new FrameAssembler(magic)
          const frames = framesOf(assembler, pieces(stream, cuts))
          if (typeof frames === 'string') expect.fail(frames)
          expect(assembler.isWaiting).toBe(false)
          expect(frames.map((frame) => decodeMessage(frame))).toEqual(
            messages.map((value) => ({ ok: true, value })),
          )
        },
      ),
      { numRuns: RUNS },
    )
  })

  test('any bytes in any pieces: the same frames, or the same fault, as in one piece', () => {
    const good = message.map((each) => encodeFrame(encodeMessage(each), magic))
    const damaged = fc
      .tuple(good, fc.nat(), fc.nat(255))
      .map(([frame, at, byte]) => frame.map((old, i) => (i === at % frame.length ? byte : old)))
    const stream = fc
      .array(fc.oneof(good, damaged, bytes(60)), { maxLength: 4 })
      .map((parts) => concatBytes(...parts))
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (whole, cuts) => {
        const [one, many] = [new FrameAssembler(magic), new FrameAssembler(magic)]
        const atOnce = one.push(whole)
        const inPieces = framesOf(many, pieces(whole, cuts))
        expect(inPieces).toEqual(atOnce.ok ? atOnce.value : atOnce.fault.code)
        for (const frame of atOnce.ok ? atOnce.value : []) {
          expect(decodeFrame(encodeFrame(frame, magic), magic)).toEqual({
            ok: true,
            value: frame,
          })
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('a frame of another network, a false length or a false checksum ends the stream', () => {
    const ping = encodeFrame(encodeMessage({ command: 'ping', height: 7n }), magic)
    const rows: [number, number, string][] = [
      [0, 0xff, 'MAIN_FRAME_MAGIC'],
      [16, 0x10, 'MAIN_FIELD_TOO_LONG'],
      [19, 0x7f, 'MAIN_FIELD_TOO_LONG'],
      [20, 0xff, 'MAIN_FRAME_CHECKSUM'],
      [23, 0xff, 'MAIN_FRAME_CHECKSUM'],
    ]
    for (const [at, byte, code] of rows) {
      const assembler = new FrameAssembler(magic)
      const changed = ping.map((old, i) => (i === at ? old ^ byte : old))
      expect(framesOf(assembler, [changed])).toBe(code)
      expect(framesOf(assembler, [ping]), 'nothing after it counts').toBe(code)
    }
  })

  test('a stated length alone takes no memory', () => {
    const block = encodeFrame({ command: 'block', payload: new Uint8Array(0) }, magic)
    new DataView(block.buffer).setUint32(16, 9 * 1024 * 1024, true)
    const before = process.memoryUsage().arrayBuffers
    const assemblers = Array.from({ length: 200 }, () => new FrameAssembler(magic))
    for (const assembler of assemblers) {
      expect(framesOf(assembler, [block.subarray(0, FRAME_HEADER_BYTES)])).toEqual([])
      expect(assembler.isWaiting).toBe(true)
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })
})
