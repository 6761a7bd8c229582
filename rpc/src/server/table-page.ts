import type { Indexed } from '@ioex/chain/state'

/** Records that one page looks at: a caller whose condition none fulfils buys no more work. */
export const PAGE_READS_MAX = 10_000

/** A page of an index-ordered table: entries with index >= from, ascending, at most limit. */
export interface Page {
  readonly from: number
  readonly limit: number
}

/** Part of a list; `next` is the index where the next part starts, null behind the last record. */
export interface TablePage<T> {
  readonly items: readonly Indexed<T>[]
  readonly next: number | null
}

/** What a page reads of a table by index. */
interface ReadTable<T> {
  readonly count: number
  get(index: number): T | undefined
}

/**
 * Records from `page.from` on that a condition admits, `page.limit` at most. Reads at most
 * PAGE_READS_MAX records, so a page may be short, or empty, before the list's end.
 */
export function pageOfTable<T>(
  table: ReadTable<T>,
  page: Page,
  admits: (record: T) => boolean,
): TablePage<T> {
  const items: Indexed<T>[] = []
  const end = Math.min(table.count, page.from + PAGE_READS_MAX)
  let index = page.from
  for (; index < end && items.length < page.limit; index++) {
    const record = table.get(index)
    if (record !== undefined && admits(record)) items.push({ index, record })
  }
  return { items, next: index < table.count ? index : null }
}
