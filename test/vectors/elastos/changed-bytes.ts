import { bytesToHex } from '@ioex/chain/bytes'
import type { AuxPow, PartialTree, SideAuxPow } from '@ioex/chain/elastos'
import { expect } from 'vitest'

/** Lowest bit, highest bit, all bits of a byte. */
const MASKS = [0x01, 0x80, 0xff] as const

/** A part of a proof that the real node does not read either. */
export interface UnreadPart {
  readonly name: string
  readonly reason: string
  readonly from: number
  /** For each byte of the part the bits that nobody reads. */
  readonly bits: Uint8Array
}

/**
 * Changes each byte of a proof with each mask: `isAccepted` refuses the result, but where the
 * change touches unread bits only. `isDecoded` says where even those are bound to a layout.
 */
export function expectEveryChangeNoticed(
  bytes: Uint8Array,
  isAccepted: (changed: Uint8Array) => boolean,
  unread: readonly UnreadPart[] = [],
  isDecoded: (changed: Uint8Array) => boolean = () => true,
): void {
  expect(isAccepted(bytes), 'the proof itself').toBe(true)
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of MASKS) {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] as number) ^ mask
      const part = unread.find(({ from, bits }) => (mask & ~(bits[at - from] ?? 0)) === 0)
      const expected = part !== undefined && isDecoded(changed)
      const where = `byte ${at} ^ ${mask}, ${part?.name ?? 'read by the node'}`
      expect(isAccepted(changed), where).toBe(expected)
    }
  }
}

const allBits = (length: number) => new Uint8Array(length).fill(0xff)

/** A u32 of which only the lowest `read` bits count. */
function bitsAbove(read: number): Uint8Array {
  const bits = new Uint8Array(4)
  new DataView(bits.buffer).setUint32(0, read >= 32 ? 0 : (0xffff_ffff << read) >>> 0, true)
  return bits
}

/** The unread parts of an AuxPow that starts at this byte. */
export function unreadOfAuxPow(auxPow: AuxPow, start: number): UnreadPart[] {
  const parentHash = start + auxPow.parentCoinbase.length
  const parentIndex = parentHash + 32 + 1 + 32 * auxPow.parentBranch.length
  return [
    {
      name: 'parent hash',
      reason: 'the work is hashed from the parent header itself; this copy is a remark',
      from: parentHash,
      bits: allBits(32),
    },
    {
      name: 'parent index above its branch',
      reason: 'each hash of the branch takes one bit of the index; the others lead nowhere',
      from: parentIndex,
      bits: bitsAbove(auxPow.parentBranch.length),
    },
  ]
}

/** The programs of the transaction that the proof carries. */
export function unreadOfPrograms(transaction: SideAuxPow['transaction'], start = 0): UnreadPart {
  return {
    name: 'programs',
    reason: 'outside the transaction id; the main chain checked their signatures',
    from: start + transaction.unsigned.length,
    bits: allBits(transaction.raw.length - transaction.unsigned.length),
  }
}

/** Where a part lies in the whole; the part must occur once. */
export function offsetOf(whole: Uint8Array, part: Uint8Array): number {
  const [text, wanted] = [bytesToHex(whole), bytesToHex(part)]
  const at = text.indexOf(wanted)
  expect(at >= 0 && at % 2 === 0 && text.indexOf(wanted, at + 1) < 0, 'one occurrence').toBe(true)
  return at / 2
}

/** The unread parts of a partial tree that ends at this byte. */
export function unreadOfTree(tree: PartialTree, end: number): UnreadPart[] {
  const flags = end - tree.flags.length
  const visited = visitedBits(tree)
  const padding = new Uint8Array(tree.flags.length)
  for (let bit = visited; bit < 8 * padding.length; bit++) {
    padding[bit >>> 3] = (padding[bit >>> 3] as number) | (1 << (bit & 7))
  }
  const parts: UnreadPart[] = [
    {
      name: 'padding of the flags',
      reason: 'flags come in bytes: bits after the last node of the tree belong to no node',
      from: flags,
      bits: padding,
    },
  ]
  if (visited > 1 || tree.transactionCount === 1) return parts
  const count = flags - 1 - 32 * tree.hashes.length - 4 - 4
  const reason = 'the root alone: nothing is shown, so nothing hangs on how wide the tree is'
  return [...parts, { name: 'transaction count', reason, from: count, bits: allBits(4) }]
}

/** How many nodes a reader of the tree visits, depth first: one flag bit each. */
function visitedBits({ transactionCount, flags }: PartialTree): number {
  const widths = [transactionCount]
  while ((widths[0] as number) > 1) widths.unshift(Math.ceil((widths[0] as number) / 2))
  let bit = 0
  const visit = (depth: number, position: number): void => {
    const flag = ((flags[bit >>> 3] as number) >>> (bit & 7)) & 1
    bit++
    if (flag === 0 || depth === widths.length - 1) return
    visit(depth + 1, position * 2)
    if (position * 2 + 1 < (widths[depth + 1] as number)) visit(depth + 1, position * 2 + 1)
  }
  visit(0, 0)
  return bit
}
