import { flatRootsOf } from '../bytes/flat-roots.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { type Voucher, VoucherType } from './transactions.ts'

const rootsOfVouchers = flatRootsOf<Voucher>(VoucherType)
/** Vouchers are values: none changes after it was decoded or signed. */
const knownRoots = new WeakMap<Voucher, Uint8Array>()

/** Computes the roots of many vouchers in one batch, for all who ask for them later. */
export function prepareVoucherRoots(vouchers: readonly Voucher[]): void {
  const unknown = vouchers.filter((voucher) => !knownRoots.has(voucher))
  if (unknown.length === 0) return
  const roots = rootsOfVouchers(unknown)
  for (const [i, voucher] of unknown.entries()) {
    knownRoots.set(voucher, roots.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES))
  }
}

/** hash_tree_root of a voucher: what its payer signs. */
export function voucherRoot(voucher: Voucher): Uint8Array {
  return knownRoots.get(voucher) ?? rootsOfVouchers([voucher])
}
