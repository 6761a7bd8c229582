import Table from 'cli-table3'

export interface Column {
  readonly head: string
  /** Numbers stand on the right. */
  readonly align?: 'left' | 'right'
}

/** A table as text; plain lines without borders or colours where nobody looks at a terminal. */
export function tableText(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  isTerminal: boolean,
): string {
  const bare = { top: '', bottom: '', mid: '', left: '', right: '', middle: '  ' }
  const edges = Object.fromEntries(
    ['top', 'bottom', 'left', 'right'].flatMap((side) =>
      ['-mid', '-left', '-right'].map((end) => [side + end, '']),
    ),
  )
  const plain = {
    chars: { ...edges, ...bare, 'mid-mid': '' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  }
  const fancy = { style: { head: ['bold'], border: ['gray'], compact: true } }
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    ...(isTerminal ? fancy : plain),
  })
  table.push(...rows.map((row) => [...row]))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n')
}

/** Names and values in two columns. */
export function factsText(facts: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}
