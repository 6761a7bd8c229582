import { fc, test as law } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { PAGE_READS_MAX, pageOfTable, type TablePage } from './table-page.ts'

/** Records are their indices; `holes` are not there. */
function tableOf(count: number, holes: ReadonlySet<number> = new Set()) {
  let reads = 0
  return {
    count,
    get: (index: number): number | undefined => {
      reads++
      return holes.has(index) ? undefined : index
    },
    reads: () => reads,
  }
}

const indicesOf = ({ items }: { items: readonly { readonly index: number }[] }) =>
  items.map(({ index }) => index)

describe('a page of a table', () => {
  test('a condition that nothing fulfils costs a bounded read, and the cursor goes on', () => {
    const table = tableOf(1_000_000)
    const page = pageOfTable(table, { from: 5, limit: 200 }, () => false)
    expect(page).toEqual({ items: [], next: 5 + PAGE_READS_MAX })
    expect(table.reads()).toBe(PAGE_READS_MAX)
  })

  test('one record at the far end is found by paging on', () => {
    const last = 3 * PAGE_READS_MAX + 7
    const table = tableOf(last + 1)
    const found: number[] = []
    let pages = 0
    for (let from: number | null = 0; from !== null; pages++) {
      const page: TablePage<number> = pageOfTable(
        table,
        { from, limit: 200 },
        (record) => record === last,
      )
      found.push(...indicesOf(page))
      from = page.next
    }
    expect([found, pages, table.reads()]).toEqual([[last], 4, last + 1])
  })

  test('the last record ends the list, also where the page is full, and a cursor behind it', () => {
    const table = tableOf(4)
    const all = () => true
    expect(pageOfTable(table, { from: 2, limit: 2 }, all)).toMatchObject({ next: null })
    expect(pageOfTable(table, { from: 1, limit: 2 }, all)).toMatchObject({ next: 3 })
    for (const from of [4, 9_999_999_999]) {
      expect(pageOfTable(table, { from, limit: 2 }, all)).toEqual({ items: [], next: null })
    }
  })

  law.prop([fc.nat(60), fc.integer({ min: 1, max: 9 }), fc.uniqueArray(fc.nat(60)), fc.nat(7)])(
    'pages together are the list',
    (count, limit, holes, modulus) => {
      const table = tableOf(count, new Set(holes))
      const admits = (record: number) => record % (modulus + 1) === 0
      const found: number[] = []
      for (let from: number | null = 0; from !== null; ) {
        const page: TablePage<number> = pageOfTable(table, { from, limit }, admits)
        expect(page.items.length).toBeLessThanOrEqual(limit)
        found.push(...indicesOf(page))
        from = page.next
      }
      const all = Array.from({ length: count }, (_, index) => index)
      expect(found).toEqual(all.filter((index) => !holes.includes(index) && admits(index)))
    },
  )
})
