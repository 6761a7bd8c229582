import fc from 'fast-check'

type Path = readonly string[]
interface Change {
  readonly at: number
  readonly to: unknown
  readonly digit: number
  readonly kind: 'replace' | 'digit' | 'add' | 'remove' | 'repeat'
}

/** Values that are often taken for something else than they are. */
const ODD_NUMBERS = [0, 1, -1, 0.5, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53)]
const ODD_TEXTS = ['', '00', '0x', 'ff'.repeat(32), '9'.repeat(39), '0'.repeat(64), '__proto__']
const ODD_VALUES = [...ODD_NUMBERS, ...ODD_TEXTS, null, true, [], {}, [[]], [null]]

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(),
  to: fc.oneof(fc.constantFrom<unknown>(...ODD_VALUES), fc.jsonValue({ maxDepth: 2 })),
  digit: fc.nat(),
  kind: fc.constantFrom('replace', 'digit', 'digit', 'add', 'remove', 'repeat'),
})

function pathsOf(value: unknown, path: Path = [], found: Path[] = []): Path[] {
  found.push(path)
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) pathsOf(inner, [...path, key], found)
  }
  return found
}

function changed(answer: unknown, path: Path, by: Change): unknown {
  const [key, ...rest] = path
  if (key === undefined) return changedHere(answer, by)
  const copy = Array.isArray(answer) ? [...(answer as unknown[])] : { ...(answer as object) }
  const fields = copy as Record<string, unknown>
  if (rest.length === 0 && by.kind === 'remove') {
    if (Array.isArray(copy)) copy.splice(Number(key), 1)
    else delete fields[key]
  } else if (rest.length === 0 && by.kind === 'repeat' && Array.isArray(copy)) {
    copy.splice(Number(key), 0, copy[Number(key)])
  } else fields[key] = changed(fields[key], rest, by)
  return copy
}

function changedHere(value: unknown, { kind, to, digit }: Change): unknown {
  if (kind === 'digit' && typeof value === 'string' && value !== '') {
    const at = digit % value.length
    const other = ((digit >>> 8) % 16).toString(16)
    return value.slice(0, at) + other + value.slice(at + 1)
  }
  if (kind === 'add' && typeof value === 'string') return value + (digit % 2 === 0 ? '00' : '0')
  if (kind === 'add' && typeof value === 'number') return value + ((digit % 5) - 2)
  return to
}

/** The JSON value with a few of its parts changed, or something else altogether. */
export const jsonNear = (answer: unknown) =>
  fc.oneof(fc.jsonValue(), {
    weight: 8,
    arbitrary: fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
      let value = answer
      for (const by of changes) {
        const paths = pathsOf(value)
        value = changed(value, paths[by.at % paths.length] as Path, by)
      }
      return value
    }),
  })
