import type { Waiting } from './waiting.ts'

interface Head {
  readonly run: readonly Waiting[]
  readonly at: number
}

/**
 * Runs of several accounts as one order: always the highest tip among the heads, each account's
 * own in nonce order.
 */
export function* bestFirst(runs: Iterable<readonly Waiting[]>): Iterable<Waiting> {
  const heap: Head[] = []
  for (const run of runs) if (run.length > 0) push(heap, { run, at: 0 })
  for (let head = pop(heap); head; head = pop(heap)) {
    const { run, at } = head
    const waiting = run[at]
    if (waiting) yield waiting
    if (at + 1 < run.length) push(heap, { run, at: at + 1 })
  }
}

function tipOf({ run, at }: Head): bigint {
  return run[at]?.transaction.body.tip ?? 0n
}

function isBefore(a: Head, b: Head): boolean {
  return tipOf(a) > tipOf(b)
}

function push(heap: Head[], head: Head): void {
  let at = heap.push(head) - 1
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above] as Head
    if (!isBefore(head, parent)) break
    heap[at] = parent
    at = above
  }
  heap[at] = head
}

function pop(heap: Head[]): Head | undefined {
  const [top] = heap
  const last = heap.pop()
  if (top === undefined || last === undefined || heap.length === 0) return top
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    const right = left + 1
    let child = left
    if (right < heap.length && isBefore(heap[right] as Head, heap[left] as Head)) child = right
    const candidate = heap[child]
    if (candidate === undefined || !isBefore(candidate, last)) break
    heap[at] = candidate
    at = child
  }
  heap[at] = last
  return top
}
