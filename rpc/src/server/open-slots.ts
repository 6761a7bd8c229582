import type { Indexed } from '@ioex/chain/state'
import { type Contract, type Epoch, NONE } from '@ioex/chain/types'
import { touched } from './contract-health.ts'
import type { LedgerSource } from './ledger-source.ts'

/** What judging slots has read at one height. */
interface Judged {
  readonly height: number
  readonly epochs: Map<number, Epoch>
  /** By node index. */
  readonly evicted: Map<number, boolean>
}

/**
 * Finds contracts with open slots page by page. A node is judged once per block, however many
 * pages of however many clients ask about its slots.
 */
export class OpenSlots {
  readonly #ledger: LedgerSource
  #judged: Judged = judgedAt(-1)

  constructor(ledger: LedgerSource) {
    this.#ledger = ledger
  }

  /**
   * Of these contracts the active ones with a slot that was lost, whose node is evicted by its
   * missed proofs up to now, or that is under notice: where a refill or a claim may be due.
   */
  async among(contracts: readonly Indexed<Contract>[]): Promise<Indexed<Contract>[]> {
    const { height } = this.#ledger.status()
    if (this.#judged.height !== height) this.#judged = judgedAt(height)
    const judged = this.#judged
    const open: Indexed<Contract>[] = []
    for (const contract of contracts) {
      const { active, askEpoch, rails } = contract.record
      if (!active || askEpoch !== NONE) continue
      for (const { rail } of rails) {
        if (rail === NONE || !(await isOpen(this.#ledger, rail, judged))) continue
        open.push(contract)
        break
      }
    }
    return open
  }
}

const judgedAt = (height: number): Judged => ({ height, epochs: new Map(), evicted: new Map() })

async function isOpen(ledger: LedgerSource, index: number, judged: Judged): Promise<boolean> {
  const rail = await ledger.railAt(index)
  if (!rail?.live || rail.askEpoch !== NONE) return false
  if (rail.left) return true
  let evicted = judged.evicted.get(rail.node)
  if (evicted === undefined) {
    const node = await ledger.nodeAt(rail.node)
    evicted = node !== undefined && (await touched(ledger, node, judged.epochs)).evicted
    judged.evicted.set(rail.node, evicted)
  }
  return evicted
}
