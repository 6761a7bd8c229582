interface Scheduled {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** Virtual time: events in the order of their time, ties in the order of their making. */
export class EventHeap {
  readonly #heap: Scheduled[] = []
  #made = 0
  now = 0

  schedule(at: number, run: () => void): void {
    const item = { at: Math.max(at, this.now), order: this.#made++, run }
    const heap = this.#heap
    let index = heap.length
    heap.push(item)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(item, heap[parent] as Scheduled)) break
      heap[index] = heap[parent] as Scheduled
      index = parent
    }
    heap[index] = item
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (!first || !last) return false
    if (first !== last) {
      let index = 0
      for (;;) {
        let child = 2 * index + 1
        if (child >= heap.length) break
        const right = heap[child + 1]
        if (right && isBefore(right, heap[child] as Scheduled)) child += 1
        if (!isBefore(heap[child] as Scheduled, last)) break
        heap[index] = heap[child] as Scheduled
        index = child
      }
      heap[index] = last
    }
    this.now = first.at
    first.run()
    return true
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
