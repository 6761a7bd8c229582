import type { RpcClient } from '@ioex/rpc/client'

/** The part of a client that the comparison asks. */
export interface HeaderSource {
  readonly name: string
  readonly client: Pick<RpcClient, 'call'>
}

export interface ComparedChains {
  /** What is wrong, in words; empty = all chains are one. */
  readonly falsehoods: readonly string[]
  readonly compared: number
}

/** What one call of chain_getCertifiedHeaders gives at most. */
const RANGE = 64
/** Ranges asked for at a time: of each node one answer for each. */
const PARALLEL_RANGES = 4
const SAY_EVERY_MS = 2_000

/** A node and the height from which on it keeps every block. */
interface Chain extends HeaderSource {
  readonly first: number
}

/**
 * Compares all nodes' final headers from height 1 to `top`, 64 to a call and a few calls at a time.
 * A node that joined later keeps none below its checkpoint, but everything from there on. Ends at
 * the first few falsehoods.
 */
export async function compareChains(
  sources: readonly HeaderSource[],
  top: number,
  log: (line: string) => void,
): Promise<ComparedChains> {
  const chains = await Promise.all(
    sources.map(async (source) => ({ ...source, first: await firstHeightOf(source, top) })),
  )
  const falsehoods: string[] = []
  const starts = Array.from({ length: Math.ceil(top / RANGE) }, (_, i) => i * RANGE + 1)
  let compared = 0
  let saidMs = Date.now()
  while (starts.length > 0 && falsehoods.length === 0) {
    const wrong = await Promise.all(
      starts.splice(0, PARALLEL_RANGES).map(async (from) => {
        const to = Math.min(top, from + RANGE - 1)
        compared += to - from + 1
        return compareRange(chains, from, to)
      }),
    )
    falsehoods.push(...wrong.flat())
    if (Date.now() - saidMs < SAY_EVERY_MS) continue
    saidMs = Date.now()
    log(`compared ${compared} of ${top} blocks on ${sources.length} nodes`)
  }
  return { falsehoods, compared }
}

/** 1, or where a node that joined later begins; `top` where it has nothing below that. */
async function firstHeightOf(source: HeaderSource, top: number): Promise<number> {
  let [missing, kept] = [0, top]
  const has = async (height: number) => (await headersOf(source, height, height)).has(height)
  if (await has(1)) return 1
  while (kept - missing > 1) {
    const middle = Math.floor((missing + kept) / 2)
    if (await has(middle)) kept = middle
    else missing = middle
  }
  return kept
}

async function headersOf(
  { client }: HeaderSource,
  from: number,
  to: number,
): Promise<Map<number, string>> {
  const { headers } = await client.call('chain_getCertifiedHeaders', { from, to })
  return new Map(headers.map(({ height, header }) => [height, header]))
}

/** At most one falsehood: the lowest in the range. */
async function compareRange(
  chains: readonly Chain[],
  from: number,
  to: number,
): Promise<readonly string[]> {
  const inRange = chains.filter(({ first }) => first <= to)
  const found = await Promise.all(
    inRange.map(async (chain) => {
      const begin = Math.max(from, chain.first)
      return { ...chain, headers: await headersOf(chain, begin, to) }
    }),
  )
  for (let height = from; height <= to; height++) {
    const sides = new Map<string, string[]>()
    for (const { name, first, headers } of found) {
      if (height < first) continue
      const header = headers.get(height)
      if (header === undefined) return [`${name} lacks block ${height}`]
      sides.set(header, [...(sides.get(header) ?? []), name])
    }
    if (sides.size > 1) {
      const names = [...sides.values()].map((side) => side.join(' '))
      return [`fork at height ${height}: ${names.join(' | ')}`]
    }
  }
  return []
}
