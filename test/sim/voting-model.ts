/**
 * Explicit-state model of the voting rules (docs/protocol/consensus.md): three honest validators
 * and one that has signed everything, quorum three, views of one epoch, messages in any order.
 * Small enough to be searched exhaustively, so that agreement does not rest on luck with seeds.
 */

/** Each rule of an honest validator; a mutant leaves one out. */
export interface VotingRules {
  /** One notarize vote per view. */
  readonly notarizeOnce: boolean
  /** A block is notarized only on a certified parent. */
  readonly parentCertified: boolean
  /** ... and only where every view between has a nullify certificate. */
  readonly gapSkipped: boolean
  readonly noSkipAfterFinal: boolean
  readonly noFinalAfterSkip: boolean
  /** Honest votes that make a certificate beside the faulty one. */
  readonly honestQuorum: number
}

export const VOTING_RULES: VotingRules = {
  notarizeOnce: true,
  parentCertified: true,
  gapSkipped: true,
  noSkipAfterFinal: true,
  noFinalAfterSkip: true,
  honestQuorum: 2,
}

const HONEST = 3
/** Honest states are interned; three of their numbers make the number of a state. */
const NUMBER_BITS = 17
const GENESIS = -1

interface Block {
  readonly view: number
  /** Index of the parent block, or GENESIS. */
  readonly parent: number
}

/**
 * What one honest validator signed; blocks and views as bits. It is in the highest view in which
 * it voted: entering one early only takes choices away, as certificates do not go away.
 */
interface Honest {
  readonly notarized: number
  readonly finalized: number
  readonly skipped: number
}

interface Certificates {
  readonly notarized: number
  readonly finalized: number
  readonly skipped: number
}

export interface ModelResult {
  readonly states: number
  readonly transitions: number
  /** Signed statements of a state in which two conflicting blocks are final. */
  readonly violation: string | undefined
}

/** Visits every reachable state of `views` views, or stops at the first disagreement. */
export function checkVotingModel(views: number, rules: VotingRules = VOTING_RULES): ModelResult {
  return new VotingModel(views, rules).search()
}

class VotingModel {
  readonly #views: number
  readonly #rules: VotingRules
  readonly #blocks: readonly Block[]
  /** Bits of the blocks of a view. */
  readonly #ofView: readonly number[]
  readonly #honest: Honest[] = []
  readonly #numbers = new Map<string, number>()

  constructor(views: number, rules: VotingRules) {
    this.#views = views
    this.#rules = rules
    this.#blocks = allBlocks(views)
    this.#ofView = Array.from({ length: views + 1 }, (_, view) =>
      this.#blocks.reduce((mask, block, i) => (block.view === view ? mask | (1 << i) : mask), 0),
    )
  }

  search(): ModelResult {
    const start = this.#number({ notarized: 0, finalized: 0, skipped: 0 })
    const first = keyOf(Array.from({ length: HONEST }, () => start))
    const seen = new Set([first])
    const open = [first]
    let transitions = 0
    for (;;) {
      const key = open.pop()
      if (key === undefined) return { states: seen.size, transitions, violation: undefined }
      const numbers = numbersOf(key)
      const all = numbers.map((number) => this.#honest[number] as Honest)
      const certificates = this.#certificates(all)
      if (this.#disagrees(certificates.finalized)) {
        return { states: seen.size, transitions, violation: JSON.stringify(all) }
      }
      for (const [i, honest] of all.entries()) {
        // Validators are alike: equal ones have equal successors.
        if (i > 0 && numbers[i] === numbers[i - 1]) continue
        for (const next of this.#steps(honest, certificates)) {
          transitions += 1
          const after = keyOf(numbers.with(i, this.#number(next)))
          if (seen.has(after)) continue
          seen.add(after)
          open.push(after)
        }
      }
    }
  }

  #certificates(all: readonly Honest[]): Certificates {
    const { honestQuorum } = this.#rules
    const certified = (signed: (honest: Honest) => number, bits: number) => {
      let mask = 0
      for (let bit = 0; bit < bits; bit++) {
        const votes = all.filter((honest) => signed(honest) & (1 << bit)).length
        if (votes >= honestQuorum) mask |= 1 << bit
      }
      return mask
    }
    return {
      notarized: certified(({ notarized }) => notarized, this.#blocks.length),
      finalized: certified(({ finalized }) => finalized, this.#blocks.length),
      skipped: certified(({ skipped }) => skipped, this.#views + 1),
    }
  }

  /** Everything that one validator may do next. */
  *#steps(honest: Honest, certificates: Certificates): Iterable<Honest> {
    yield* this.#finalizations(honest, certificates)
    for (let view = this.#viewOf(honest); view <= this.#views; view++) {
      yield* this.#notarizations(view, honest, certificates)
      yield* this.#skips(view, honest)
      if (!this.#isOver(view, certificates)) return
    }
  }

  #viewOf({ notarized, skipped }: Honest): number {
    for (let view = this.#views; view > 1; view--) {
      if (notarized & (this.#ofView[view] ?? 0) || skipped & (1 << view)) return view
    }
    return 1
  }

  /** A certificate of the view lets everybody go on. */
  #isOver(view: number, { notarized, finalized, skipped }: Certificates): boolean {
    const blocks = this.#ofView[view] ?? 0
    return ((notarized | finalized) & blocks) !== 0 || (skipped & (1 << view)) !== 0
  }

  *#skips(view: number, honest: Honest): Iterable<Honest> {
    const isFinal = (honest.finalized & (this.#ofView[view] ?? 0)) !== 0
    const bit = 1 << view
    if (honest.skipped & bit || (this.#rules.noSkipAfterFinal && isFinal)) return
    yield { ...honest, skipped: honest.skipped | bit }
  }

  *#notarizations(view: number, honest: Honest, certificates: Certificates): Iterable<Honest> {
    const { notarized, skipped } = honest
    const blocks = this.#ofView[view] ?? 0
    if (skipped & (1 << view)) return
    if (this.#rules.notarizeOnce && notarized & blocks) return
    for (const [i, block] of this.#blocks.entries()) {
      if (block.view !== view || notarized & (1 << i)) continue
      if (this.#isJustified(block, certificates))
        yield { ...honest, notarized: notarized | (1 << i) }
    }
  }

  #isJustified({ view, parent }: Block, { notarized, skipped }: Certificates): boolean {
    const { parentCertified, gapSkipped } = this.#rules
    if (parentCertified && parent !== GENESIS && !(notarized & (1 << parent))) return false
    if (!gapSkipped) return true
    for (let gap = (this.#blocks[parent]?.view ?? 0) + 1; gap < view; gap++) {
      if (!(skipped & (1 << gap))) return false
    }
    return true
  }

  *#finalizations(honest: Honest, certificates: Certificates): Iterable<Honest> {
    const { notarized, finalized, skipped } = honest
    for (const [i, { view }] of this.#blocks.entries()) {
      const bit = 1 << i
      if (!(notarized & certificates.notarized & bit) || finalized & bit) continue
      if (this.#rules.noFinalAfterSkip && skipped & (1 << view)) continue
      yield { ...honest, finalized: finalized | bit }
    }
  }

  /** Two final blocks of which neither stands on the other. */
  #disagrees(finalized: number): boolean {
    const final = [...this.#blocks.keys()].filter((i) => finalized & (1 << i))
    return final.some((a) => final.some((b) => !this.#isAncestor(a, b) && !this.#isAncestor(b, a)))
  }

  #isAncestor(ancestor: number, block: number): boolean {
    let at = block
    while (at !== GENESIS && at !== ancestor) at = this.#blocks[at]?.parent ?? GENESIS
    return at === ancestor
  }

  #number(honest: Honest): number {
    const { notarized, finalized, skipped } = honest
    const name = `${notarized}/${finalized}/${skipped}`
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#honest.length
    if (number >= 2 ** NUMBER_BITS) throw new Error('the model has too many states of a validator')
    this.#honest.push(honest)
    this.#numbers.set(name, number)
    return number
  }
}

/** View 1 has a leader that proposes twice; later views a block on every earlier one. */
function allBlocks(views: number): Block[] {
  const blocks: Block[] = [
    { view: 1, parent: GENESIS },
    { view: 1, parent: GENESIS },
  ]
  for (let view = 2; view <= views; view++) {
    const parents = [GENESIS, ...blocks.keys()]
    for (const parent of parents) blocks.push({ view, parent })
  }
  return blocks
}

/** Order of validators does not matter: states that differ only in it are one. */
function keyOf(numbers: readonly number[]): number {
  return numbers
    .toSorted((a, b) => a - b)
    .reduce((key, number) => key * 2 ** NUMBER_BITS + number, 0)
}

function numbersOf(key: number): number[] {
  const numbers: number[] = []
  let rest = key
  for (let i = 0; i < HONEST; i++) {
    numbers.unshift(rest % 2 ** NUMBER_BITS)
    rest = Math.floor(rest / 2 ** NUMBER_BITS)
  }
  return numbers
}
