import { bytesToHex } from '../bytes/hex.ts'
import type { ArbiterSet, NamedSource } from './main-sources.ts'

/** Main nodes that must name the same arbiters before these are believed. */
const AGREEING_NODES = 2
/** The turn that ends with a block and the one that begins after it. */
const SETS_KEPT = 2

/** Whose Confirms count: keys that the operator gave, or what main nodes agree on. */
export class ArbiterSets {
  readonly #asksNodes: boolean
  #sets: readonly ArbiterSet[]

  constructor(arbiters: 'nodes' | readonly Uint8Array[]) {
    this.#asksNodes = arbiters === 'nodes'
    this.#sets = arbiters === 'nodes' ? [] : [{ keys: arbiters, count: arbiters.length }]
  }

  /** Newest first. */
  get all(): readonly ArbiterSet[] {
    return this.#sets
  }

  /** Asks every source at once; gives whether another set is believed now. */
  async refresh(sources: readonly NamedSource[]): Promise<boolean> {
    if (!this.#asksNodes) return false
    const answers = await Promise.allSettled(
      sources.flatMap(({ client }) => (client.getArbiters ? [client.getArbiters()] : [])),
    )
    const groups = new Map<string, ArbiterSet[]>()
    for (const answer of answers) {
      if (answer.status === 'rejected') continue
      const key = fingerprint(answer.value)
      groups.set(key, [...(groups.get(key) ?? []), answer.value])
    }
    const agreed = [...groups.values()].filter(({ length }) => length >= AGREEING_NODES)
    const [set] = agreed[0] ?? []
    // Two camps: one of them lies, and which one cannot be told.
    if (!set || agreed.length > 1) return false
    const [newest] = this.#sets
    if (newest && fingerprint(newest) === fingerprint(set)) return false
    this.#sets = [set, ...this.#sets].slice(0, SETS_KEPT)
    return true
  }
}

function fingerprint({ keys, count }: ArbiterSet): string {
  return `${count} ${keys.map(bytesToHex).sort().join(' ')}`
}
