/** Answers of one protocol that are made or read at the same time: of one peer, and of all. */
const PER_PEER_MAX = 8
const ALL_MAX = 48

interface Answer {
  readonly peer: string
  readonly giveUp: (reason: Error) => void
}

/**
 * Who is being answered. An answer to 60 bytes holds up to 6 MiB until its peer has read it, limits
 * of libp2p count by connection, and names are free. Where there is no room the peer with the most
 * answers loses its oldest, so that a few cannot keep the others out.
 */
export class AnswerDesk {
  /** Oldest first. */
  readonly #answers = new Set<Answer>()
  readonly #isNamed: (peer: string) => boolean

  /** Peers that the operator named have room of their own. */
  constructor(isNamed: (peer: string) => boolean) {
    this.#isNamed = isNamed
  }

  get size(): number {
    return this.#answers.size
  }

  /** What ends the answer's place; undefined where there is none for it. */
  take(peer: string, giveUp: Answer['giveUp']): (() => void) | undefined {
    const isNamed = this.#isNamed(peer)
    const alike = [...this.#answers].filter((each) => this.#isNamed(each.peer) === isNamed)
    const counts = new Map<string, number>()
    for (const each of alike) counts.set(each.peer, (counts.get(each.peer) ?? 0) + 1)
    const own = counts.get(peer) ?? 0
    if (own >= PER_PEER_MAX) return undefined
    if (alike.length >= ALL_MAX && !this.#makeRoom(alike, counts, own + 1)) return undefined
    const answer = { peer, giveUp }
    this.#answers.add(answer)
    return () => this.#answers.delete(answer)
  }

  #makeRoom(alike: readonly Answer[], counts: ReadonlyMap<string, number>, least: number): boolean {
    const most = Math.max(...counts.values())
    const oldest = alike.find(({ peer }) => counts.get(peer) === most)
    if (!oldest || most <= least) return false
    this.#answers.delete(oldest)
    oldest.giveUp(new Error('others wait for an answer'))
    return true
  }
}
