import { assert } from '../bytes/assert.ts'
import { bytesEqual, utf8ToBytes } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { BLOCK_BYTES_MAX } from './block.ts'
import { type BloomFilter, FILTER_BYTES_MAX, FILTER_FUNCTIONS_MAX } from './bloom-filter.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'

/** First bytes of every message of a network. */
export const MainNetMagic = { main: 2017001, test: 2018101, regression: 2018201 } as const
export const FRAME_HEADER_BYTES = 24
/** From this version on, a node's version message ends with its software's name. */
const PROTOCOL_WITH_NODE_NAME = 80_000
export const PROTOCOL_VERSION = 20_000
/** Bits of `services`. */
export const PeerService = { network: 1, transactionFilter: 2, bloom: 4 } as const
/** What an inventory entry names. */
export const InventoryKind = {
  transaction: 1,
  block: 2,
  filteredBlock: 3,
  confirmedBlock: 4,
  address: 5,
} as const
/** What a txfilter asks for. Type 4 (upgrades) is broken in the main node: never ask for it. */
export const FilterKind = {
  sideChain: 0,
  dpos: 1,
  nextTurn: 2,
  customId: 3,
  upgrade: 4,
  returnDeposit: 5,
} as const

const COMMAND_BYTES = 12
const CHECKSUM_BYTES = 4
const NODE_NAME_BYTES_MAX = 256
const FILTER_DATA_BYTES_MAX = FILTER_BYTES_MAX + 512
const LOCATOR_MAX = 500
const INVENTORY_MAX = 50_000
const INVENTORY_ITEM_BYTES = 36
const ADDRESSES_MAX = 1000
const ADDRESS_BYTES = 34
const IP_BYTES = 16
const FILTER_ELEMENT_BYTES_MAX = 520
/** Most block hashes in one answer to getblocks. */
export const BLOCKS_PER_ANSWER_MAX = 500
/** Why a node refuses what it was sent. */
export const RejectCode = { malformed: 0x01, invalid: 0x10, duplicate: 0x12 } as const

/** A header of at most 1 MB, a hash and a flag bit for each of 10,000 transactions. */
const MERKLE_BLOCK_BYTES_MAX = 2 * 1024 * 1024
/** Commands that newer nodes may bring: read past, but not at any length. */
const UNKNOWN_BYTES_MAX = 1024 * 1024
/** The longest payload of each command, so that a stated length means nothing by itself. */
const PAYLOAD_BYTES_MAX: Readonly<Record<string, number>> = {
  version: 35 + 3 + NODE_NAME_BYTES_MAX,
  verack: 0,
  getaddr: 0,
  mempool: 0,
  filterclear: 0,
  ping: 8,
  pong: 8,
  addr: 8 + ADDRESSES_MAX * ADDRESS_BYTES,
  txfilter: 1 + 5 + FILTER_DATA_BYTES_MAX,
  filterload: FILTER_DATA_BYTES_MAX,
  filteradd: 3 + FILTER_ELEMENT_BYTES_MAX,
  getblocks: 4 + 32 * (LOCATOR_MAX + 1),
  inv: 4 + INVENTORY_ITEM_BYTES * INVENTORY_MAX,
  getdata: 4 + INVENTORY_ITEM_BYTES * INVENTORY_MAX,
  notfound: 4 + INVENTORY_ITEM_BYTES * INVENTORY_MAX,
  reject: 512 * 1024,
  merkleblock: MERKLE_BLOCK_BYTES_MAX,
  tx: BLOCK_BYTES_MAX,
  block: BLOCK_BYTES_MAX,
}

export interface Frame {
  readonly command: string
  readonly payload: Uint8Array
}

export interface FrameHeader {
  readonly command: string
  readonly payloadBytes: number
  readonly checksum: Uint8Array
}

export interface InventoryItem {
  readonly kind: number
  readonly hash: InternalHash
}

export interface PeerAddress {
  /** Seconds since 1970. */
  readonly lastSeen: bigint
  readonly services: bigint
  readonly ip: Uint8Array
  readonly port: number
}

/** The bloom filter of a side chain, with the transaction types it wants (none: all). */
export interface SideChainFilter extends BloomFilter {
  readonly flags: number
  readonly transactionTypes: Uint8Array
}

export interface PeerVersion {
  readonly version: number
  readonly services: bigint
  readonly timestamp: number
  readonly port: number
  readonly nonce: bigint
  readonly height: bigint
  readonly relay: boolean
  /** From protocol version 80000 on. */
  readonly nodeName: string | undefined
}

/** A message; the payloads of the last line have codecs of their own. */
export type P2pMessage =
  | ({ readonly command: 'version' } & PeerVersion)
  | { readonly command: 'verack' | 'getaddr' | 'mempool' | 'filterclear' }
  | { readonly command: 'ping' | 'pong'; readonly height: bigint }
  | { readonly command: 'addr'; readonly addresses: readonly PeerAddress[] }
  | { readonly command: 'txfilter'; readonly filterKind: number; readonly data: Uint8Array }
  | { readonly command: 'filteradd'; readonly element: Uint8Array }
  | {
      readonly command: 'getblocks'
      readonly locator: readonly InternalHash[]
      readonly stop: InternalHash
    }
  | {
      readonly command: 'inv' | 'getdata' | 'notfound'
      readonly items: readonly InventoryItem[]
    }
  | {
      readonly command: 'reject'
      readonly rejected: string
      readonly code: number
      readonly reason: string
      readonly hash: InternalHash
    }
  | {
      readonly command: 'filterload' | 'merkleblock' | 'tx' | 'block'
      readonly payload: Uint8Array
    }

/** Reads the 24 bytes before a payload; one longer than its command allows is refused here. */
export function decodeFrameHeader(bytes: Uint8Array, magic: number): Result<FrameHeader> {
  const reader = new ByteReader(bytes)
  if (reader.u32() !== magic) reader.fail('MAIN_FRAME_MAGIC', 'the message is of another network')
  const command = commandText(reader)
  const payloadBytes = reader.u32()
  const checksum = reader.fixed(CHECKSUM_BYTES)
  const most = Object.hasOwn(PAYLOAD_BYTES_MAX, command) ? PAYLOAD_BYTES_MAX[command] : undefined
  if (payloadBytes > (most ?? UNKNOWN_BYTES_MAX)) {
    reader.fail('MAIN_FIELD_TOO_LONG', `a message of ${payloadBytes} bytes is too long`)
  }
  return reader.result({ command, payloadBytes, checksum })
}

function commandText(reader: ByteReader): string {
  const bytes = reader.fixed(COMMAND_BYTES)
  const zero = bytes.indexOf(0)
  const name = zero < 0 ? bytes : bytes.subarray(0, zero)
  // Zero padded and printable: one command has one form.
  const isPadded = bytes.subarray(name.length).every((byte) => byte === 0)
  if (name.length === 0 || !isPadded || name.some((byte) => byte < 0x21 || byte > 0x7e)) {
    reader.fail('MAIN_FRAME_COMMAND', 'the command of a message is not a word')
  }
  return String.fromCharCode(...name)
}

/** Whether these are the payload's bytes; a damaged one is dropped with its connection. */
export function checkPayload(header: FrameHeader, payload: Uint8Array): Result<undefined> {
  const isWhole = payload.length === header.payloadBytes
  if (isWhole && bytesEqual(doubleHash(payload).subarray(0, CHECKSUM_BYTES), header.checksum)) {
    return ok()
  }
  return fault('MAIN_FRAME_CHECKSUM', 'the payload of a message is damaged')
}

/** Decodes exactly one framed message. */
export function decodeFrame(bytes: Uint8Array, magic: number): Result<Frame> {
  const header = decodeFrameHeader(bytes.subarray(0, FRAME_HEADER_BYTES), magic)
  if (!header.ok) return header
  const payload = bytes.slice(FRAME_HEADER_BYTES)
  const whole = checkPayload(header.value, payload)
  return whole.ok ? ok({ command: header.value.command, payload }) : whole
}

export function encodeFrame({ command, payload }: Frame, magic: number): Uint8Array {
  const name = utf8ToBytes(command)
  assert(name.length > 0 && name.length <= COMMAND_BYTES, 'a command has 1 to 12 letters')
  const writer = new ByteWriter(FRAME_HEADER_BYTES + payload.length).u32(magic).fixed(name)
  writer.fixed(new Uint8Array(COMMAND_BYTES - name.length)).u32(payload.length)
  return writer.fixed(doubleHash(payload).subarray(0, CHECKSUM_BYTES)).fixed(payload).finish()
}

/** Decodes the payload of a message; a command that is not in the list is a fault. */
export function decodeMessage({ command, payload }: Frame): Result<P2pMessage> {
  const reader = new ByteReader(payload)
  switch (command) {
    case 'version':
      return reader.result({ command, ...readVersion(reader) })
    case 'verack':
    case 'getaddr':
    case 'mempool':
    case 'filterclear':
      return reader.result({ command })
    case 'ping':
    case 'pong':
      return reader.result({ command, height: reader.u64() })
    case 'addr':
      return reader.result({ command, addresses: readAddresses(reader) })
    case 'txfilter': {
      const filterKind = reader.u8()
      return reader.result({ command, filterKind, data: reader.varBytes(FILTER_DATA_BYTES_MAX) })
    }
    case 'filteradd':
      return reader.result({ command, element: reader.varBytes(FILTER_ELEMENT_BYTES_MAX) })
    case 'getblocks': {
      const locator = reader.hashes(reader.countU32(LOCATOR_MAX, 32))
      return reader.result({ command, locator, stop: reader.hash() })
    }
    case 'inv':
    case 'getdata':
    case 'notfound':
      return reader.result({ command, items: readItems(reader) })
    case 'reject':
      return reader.result({
        command,
        rejected: reader.byteString(COMMAND_BYTES),
        code: reader.u8(),
        reason: reader.byteString(payload.length),
        hash: reader.hash(),
      })
    case 'filterload':
    case 'merkleblock':
    case 'tx':
    case 'block':
      return ok({ command, payload })
    default:
      return fault('MAIN_MESSAGE_UNKNOWN', `messages named ${command} are not known here`)
  }
}

function readVersion(reader: ByteReader): PeerVersion {
  const version = reader.u32()
  return {
    version,
    services: reader.u64(),
    timestamp: reader.u32(),
    port: reader.u16(),
    nonce: reader.u64(),
    height: reader.u64(),
    relay: readFlag(reader),
    nodeName:
      version >= PROTOCOL_WITH_NODE_NAME ? reader.byteString(NODE_NAME_BYTES_MAX) : undefined,
  }
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8()
  if (flag > 1) reader.fail('MAIN_FLAG_MALFORMED', 'a flag is 0 or 1')
  return flag === 1
}

function readAddresses(reader: ByteReader): PeerAddress[] {
  const stated = reader.u64()
  const addresses: PeerAddress[] = []
  if (stated > BigInt(Math.min(ADDRESSES_MAX, Math.floor(reader.remaining / ADDRESS_BYTES)))) {
    reader.fail('MAIN_FIELD_TOO_LONG', 'a list of addresses is longer than it may be')
  }
  for (let i = 0; i < Number(stated) && !reader.failed; i++) {
    addresses.push({
      lastSeen: reader.i64(),
      services: reader.u64(),
      ip: reader.fixed(IP_BYTES),
      port: reader.u16(),
    })
  }
  return addresses
}

function readItems(reader: ByteReader): InventoryItem[] {
  const count = reader.countU32(INVENTORY_MAX, INVENTORY_ITEM_BYTES)
  const items: InventoryItem[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    items.push({ kind: reader.u32(), hash: reader.hash() })
  }
  return items
}

/** The frame of a message. */
export function encodeMessage(message: P2pMessage): Frame {
  if ('payload' in message) return { command: message.command, payload: message.payload }
  const writer = new ByteWriter()
  writeMessage(writer, message)
  return { command: message.command, payload: writer.finish() }
}

function writeMessage(
  writer: ByteWriter,
  message: Exclude<P2pMessage, { payload: Uint8Array }>,
): void {
  switch (message.command) {
    case 'version':
      writer.u32(message.version).u64(message.services).u32(message.timestamp).u16(message.port)
      writer
        .u64(message.nonce)
        .u64(message.height)
        .u8(message.relay ? 1 : 0)
      if (message.version >= PROTOCOL_WITH_NODE_NAME) writer.byteString(message.nodeName ?? '')
      return
    case 'verack':
    case 'getaddr':
    case 'mempool':
    case 'filterclear':
      return
    case 'ping':
    case 'pong':
      writer.u64(message.height)
      return
    case 'addr':
      writer.u64(BigInt(message.addresses.length))
      for (const { lastSeen, services, ip, port } of message.addresses) {
        assert(ip.length === IP_BYTES, 'an address has 16 bytes')
        writer.i64(lastSeen).u64(services).fixed(ip).u16(port)
      }
      return
    case 'txfilter':
      writer.u8(message.filterKind).varBytes(message.data)
      return
    case 'filteradd':
      writer.varBytes(message.element)
      return
    case 'getblocks':
      writer.u32(message.locator.length)
      for (const hash of message.locator) writer.fixed(hash)
      writer.fixed(message.stop)
      return
    case 'inv':
    case 'getdata':
    case 'notfound':
      writer.u32(message.items.length)
      for (const { kind, hash } of message.items) writer.u32(kind).fixed(hash)
      return
    case 'reject':
      writer.byteString(message.rejected).u8(message.code).byteString(message.reason)
      writer.fixed(message.hash)
  }
}

/** Decodes the data of a txfilter of type 0, which is also the payload of a filterload. */
export function decodeSideChainFilter(data: Uint8Array): Result<SideChainFilter> {
  const reader = new ByteReader(data)
  const bytes = reader.varBytes(FILTER_BYTES_MAX)
  const functions = reader.u32()
  if (functions > FILTER_FUNCTIONS_MAX) {
    reader.fail('MAIN_FIELD_TOO_LONG', 'a filter has more hash functions than a node takes')
  }
  return reader.result({
    bytes,
    functions,
    tweak: reader.u32(),
    flags: reader.u8(),
    transactionTypes: reader.varBytes(0xff),
  })
}

export function encodeSideChainFilter(filter: SideChainFilter): Uint8Array {
  const writer = new ByteWriter(filter.bytes.length + 16).varBytes(filter.bytes)
  writer.u32(filter.functions).u32(filter.tweak).u8(filter.flags)
  return writer.varBytes(filter.transactionTypes).finish()
}
