import type { NetworkParams } from '@ioex/chain/params'
import { coveredBytes } from '@ioex/chain/rules'
import { isLoopback, prefixOf } from './network-prefix.ts'
import type { Candidate } from './peer-choice.ts'

/**
 * The candidates that may take a slot, in their order, when all nodes behind one address prefix
 * share one free allowance (PROTOCOL 7): nodes without held pay cost nothing to make, addresses
 * do. `candidates` are peers that answered, and their hosts those that were seen: what an offer
 * says would let anyone use up a stranger's prefix. This machine's own peers are not limited, and
 * those that a relay carries show no address.
 */
export function withinAllowance(
  candidates: readonly Candidate[],
  params: NetworkParams,
  slotBytes: number,
): Candidate[] {
  const uses = candidates.map((candidate) => useOf(candidate, params, slotBytes))
  const used = new Map<string, bigint>()
  for (const { prefix, before } of uses) add(used, prefix, before)
  return candidates.filter((_candidate, at) => {
    const { prefix, before, after } = uses[at] ?? NO_USE
    const sum = (used.get(prefix) ?? 0n) + after - before
    if (prefix === '' || after === 0n) return true
    if (sum > BigInt(params.freeAllowanceBytes)) return false
    used.set(prefix, sum)
    return true
  })
}

/** Bytes that lean on the free allowance of a prefix, before and after the slot. */
interface AllowanceUse {
  /** Empty where no prefix is charged. */
  readonly prefix: string
  readonly before: bigint
  readonly after: bigint
}
const NO_USE: AllowanceUse = { prefix: '', before: 0n, after: 0n }

function useOf(
  { host, node, offer }: Candidate,
  params: NetworkParams,
  slotBytes: number,
): AllowanceUse {
  if (host === undefined || isLoopback(host)) return NO_USE
  const covered = node ? coveredBytes(params, node, offer.unitPrice) : 0n
  const bytes = BigInt(node?.inventoryBytes ?? 0)
  const uncovered = (all: bigint) => (all > covered ? all - covered : 0n)
  return {
    prefix: prefixOf(host),
    before: uncovered(bytes),
    after: uncovered(bytes + BigInt(slotBytes)),
  }
}

function add(sums: Map<string, bigint>, key: string, value: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + value)
}
