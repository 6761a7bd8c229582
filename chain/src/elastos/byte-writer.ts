import { assert } from '../bytes/assert.ts'

const U32_MAX = 0xffff_ffff
const I64_MIN = -(1n << 63n)
const I64_MAX = (1n << 63n) - 1n
const U64_MAX = (1n << 64n) - 1n

/** Writes the Elastos formats: little-endian integers, CompactSize lengths. */
export class ByteWriter {
  private bytes: Uint8Array
  private view: DataView
  private position = 0

  constructor(expectedBytes = 256) {
    this.bytes = new Uint8Array(expectedBytes)
    this.view = new DataView(this.bytes.buffer)
  }

  u8(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xff, 'u8 out of range')
    const at = this.grow(1)
    this.view.setUint8(at, value)
    return this
  }

  u16(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xffff, 'u16 out of range')
    const at = this.grow(2)
    this.view.setUint16(at, value, true)
    return this
  }

  u32(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value <= U32_MAX, 'u32 out of range')
    const at = this.grow(4)
    this.view.setUint32(at, value, true)
    return this
  }

  i32(value: number): this {
    assert((value | 0) === value, 'i32 out of range')
    const at = this.grow(4)
    this.view.setInt32(at, value, true)
    return this
  }

  u64(value: bigint): this {
    assert(value >= 0n && value <= U64_MAX, 'u64 out of range')
    const at = this.grow(8)
    this.view.setBigUint64(at, value, true)
    return this
  }

  i64(value: bigint): this {
    assert(value >= I64_MIN && value <= I64_MAX, 'i64 out of range')
    const at = this.grow(8)
    this.view.setBigInt64(at, value, true)
    return this
  }

  varUint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'VarUint out of range')
    if (value < 0xfd) return this.u8(value)
    if (value <= 0xffff) return this.u8(0xfd).u16(value)
    if (value <= U32_MAX) return this.u8(0xfe).u32(value)
    return this.u8(0xff).u64(BigInt(value))
  }

  fixed(bytes: Uint8Array): this {
    const at = this.grow(bytes.length)
    this.bytes.set(bytes, at)
    return this
  }

  varBytes(bytes: Uint8Array): this {
    return this.varUint(bytes.length).fixed(bytes)
  }

  /** A text field given as a byte string: one byte per character. */
  byteString(text: string): this {
    this.varUint(text.length)
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i))
    return this
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.position)
  }

  private grow(length: number): number {
    const start = this.position
    const end = start + length
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.bytes.length * 2))
      larger.set(this.bytes.subarray(0, start))
      this.bytes = larger
      this.view = new DataView(larger.buffer)
    }
    this.position = end
    return start
  }
}
