import { type Fault, fault, type Result } from '../bytes/result.ts'
import type { InternalHash } from './hash-orientation.ts'

const EMPTY = new Uint8Array(0)
const U32_SPAN = 2 ** 32

/**
 * A bounded cursor over untrusted bytes of the Elastos formats (little-endian, VarUint). The
 * first wrong thing sticks: from then on every read answers zero or empty at once and nothing
 * more is allocated, so a decoder may read a whole object and look at `result` once at its end.
 */
export class ByteReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private position = 0
  private problem: Fault | undefined

  constructor(bytes: Uint8Array) {
    // A plain Uint8Array over the same memory: Buffer's own slice() would alias, not copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get offset(): number {
    return this.position
  }

  get remaining(): number {
    return this.bytes.length - this.position
  }

  get failed(): boolean {
    return this.problem !== undefined
  }

  /** Records what is wrong, unless something was wrong before. */
  fail(code: string, message: string): void {
    if (this.problem === undefined) this.problem = fault(code, message).fault
  }

  u8(): number {
    return this.take(1) ? this.view.getUint8(this.position - 1) : 0
  }

  u16(): number {
    return this.take(2) ? this.view.getUint16(this.position - 2, true) : 0
  }

  u32(): number {
    return this.take(4) ? this.view.getUint32(this.position - 4, true) : 0
  }

  i32(): number {
    return this.take(4) ? this.view.getInt32(this.position - 4, true) : 0
  }

  u64(): bigint {
    return this.take(8) ? this.view.getBigUint64(this.position - 8, true) : 0n
  }

  i64(): bigint {
    return this.take(8) ? this.view.getBigInt64(this.position - 8, true) : 0n
  }

  /** A copy of the next `length` bytes; the caller gives a length that it has bounded. */
  fixed(length: number): Uint8Array {
    if (!this.take(length)) return EMPTY
    return this.bytes.slice(this.position - length, this.position)
  }

  hash(): InternalHash {
    return this.fixed(32) as InternalHash
  }

  /** A list of `count` hashes, where `count` is bounded already. */
  hashes(count: number): InternalHash[] {
    const list: InternalHash[] = []
    for (let i = 0; i < count; i++) list.push(this.hash())
    return list
  }

  /** A copy of what was read since `start`, an earlier `offset`. */
  since(start: number): Uint8Array {
    return this.failed ? EMPTY : this.bytes.slice(start, this.position)
  }

  /** CompactSize; only its shortest form is taken, so that one value has one encoding. */
  varUint(): number {
    const first = this.u8()
    if (first < 0xfd) return first
    let value: number
    let least: number
    if (first === 0xfd) {
      value = this.u16()
      least = 0xfd
    } else if (first === 0xfe) {
      value = this.u32()
      least = 0x10000
    } else {
      const low = this.u32()
      value = this.u32() * U32_SPAN + low
      least = U32_SPAN
    }
    if (this.failed) return 0
    if (value < least) {
      this.fail('MAIN_VARUINT_NOT_MINIMAL', 'a length is not in its shortest form')
      return 0
    }
    if (!Number.isSafeInteger(value)) {
      this.fail('MAIN_FIELD_TOO_LONG', 'a length is beyond any possible message')
      return 0
    }
    return value
  }

  /** A list's length, refused when its elements could not fit into the bytes that are left. */
  count(maximum: number, elementBytesMin: number): number {
    return this.bounded(this.varUint(), maximum, elementBytesMin)
  }

  /** As `count`, where the format writes a u32. */
  countU32(maximum: number, elementBytesMin: number): number {
    return this.bounded(this.u32(), maximum, elementBytesMin)
  }

  varBytes(maximum: number): Uint8Array {
    const length = this.count(maximum, 1)
    return length === 0 ? EMPTY : this.fixed(length)
  }

  /**
   * A text field as a byte string: each character is one byte, so that any content survives a
   * round trip; ASCII, which is what addresses are, reads as itself.
   */
  byteString(maximum: number): string {
    const bytes = this.varBytes(maximum)
    let text = ''
    for (const byte of bytes) text += String.fromCharCode(byte)
    return text
  }

  /** The decoded value, if nothing was wrong; bytes may follow. */
  prefixResult<T>(value: T): Result<T> {
    if (this.problem !== undefined) return { ok: false, fault: this.problem }
    return { ok: true, value }
  }

  /** The decoded value, if nothing was wrong and no byte is left. */
  result<T>(value: T): Result<T> {
    if (!this.failed && this.remaining > 0) {
      this.fail('MAIN_BYTES_TRAILING', `${this.remaining} bytes follow the object`)
    }
    return this.prefixResult(value)
  }

  private bounded(count: number, maximum: number, elementBytesMin: number): number {
    if (this.failed) return 0
    if (count > maximum) {
      this.fail('MAIN_FIELD_TOO_LONG', `a field has ${count} elements, at most ${maximum} may be`)
      return 0
    }
    if (count * elementBytesMin > this.remaining) {
      this.fail('MAIN_BYTES_TRUNCATED', 'the bytes end inside the object')
      return 0
    }
    return count
  }

  private take(length: number): boolean {
    if (this.failed) return false
    if (length > this.remaining) {
      this.fail('MAIN_BYTES_TRUNCATED', 'the bytes end inside the object')
      return false
    }
    this.position += length
    return true
  }
}
