import {
  BooleanType,
  ByteListType,
  ByteVectorType,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  type Type,
  UintBigintType,
  UintNumberType,
} from '@chainsafe/ssz'

/** A value that differs from a valid one in one place. */
export interface Mutation {
  /** Field by field from the top, positions of lists left out: what a table of rules names. */
  readonly field: string
  /** What was done there. */
  readonly change: string
  readonly value: unknown
}

type AnyType = Type<unknown>
type Fields = Record<string, unknown>

/**
 * Every field of an SSZ value set to its least, its greatest, one more and one less; bytes to zero,
 * to ones and off by a bit; lists empty, shorter, longer, full, reversed and with an element twice.
 * Of a list only the first and the last element are changed themselves.
 */
export function* mutationsOf(type: AnyType, value: unknown, field = ''): Iterable<Mutation> {
  if (type instanceof ContainerType) yield* ofContainer(type, value as Fields, field)
  else if (type instanceof ListCompositeType || type instanceof ListBasicType) {
    yield* ofList(type as unknown as SszList, value as unknown[], field)
  } else {
    for (const [change, changed] of ofLeaf(type, value)) yield { field, change, value: changed }
  }
}

function* ofContainer(
  { fieldsEntries }: ContainerType<Record<string, AnyType>>,
  value: Fields,
  field: string,
): Iterable<Mutation> {
  for (const { fieldName, fieldType } of fieldsEntries) {
    const path = field === '' ? fieldName : `${field}.${fieldName}`
    for (const inner of mutationsOf(fieldType, value[fieldName], path)) {
      yield { ...inner, value: { ...value, [fieldName]: inner.value } }
    }
  }
}

interface SszList {
  readonly elementType: AnyType
  readonly limit: number
}

function* ofList({ elementType, limit }: SszList, list: unknown[], field: string) {
  const [first] = list
  const changes: [string, unknown[]][] = [
    ['empty', []],
    ['without the last', list.slice(0, -1)],
    ['without the first', list.slice(1)],
    ['the other way round', [...list].reverse()],
  ]
  if (first !== undefined) {
    changes.push(['one twice', [...list, first]])
    // Full as far as a transaction may get: what is larger is refused by its size.
    changes.push(['full', Array.from({ length: Math.min(limit, 300) }, () => first)])
  }
  for (const [change, value] of changes) {
    if (value.length !== list.length || change === 'the other way round') {
      yield { field, change, value }
    }
  }
  for (const index of new Set([0, list.length - 1])) {
    if (list[index] === undefined) continue
    for (const inner of mutationsOf(elementType, list[index], field)) {
      yield { ...inner, value: list.with(index, inner.value) }
    }
  }
}

function* ofLeaf(type: AnyType, value: unknown): Iterable<[string, unknown]> {
  if (type instanceof BooleanType) yield ['not', !value]
  else if (type instanceof UintNumberType) {
    const most = Math.min(2 ** (8 * type.byteLength) - 1, Number.MAX_SAFE_INTEGER)
    yield* numbers(value as number, 0, most, 1, (x, y) => x + y)
    if (type.byteLength === 8) yield ['without bound', Number.POSITIVE_INFINITY]
  } else if (type instanceof UintBigintType) {
    const most = (1n << BigInt(8 * type.byteLength)) - 1n
    yield* numbers(value as bigint, 0n, most, 1n, (x, y) => x + y)
  } else if (type instanceof ByteVectorType || type instanceof ByteListType) {
    yield* byteChanges(type, value as Uint8Array)
  } else {
    throw new Error(`no mutation for ${type.typeName}`)
  }
}

function* numbers<T extends number | bigint>(
  value: T,
  zero: T,
  most: T,
  one: T,
  add: (a: T, b: T) => T,
): Iterable<[string, T]> {
  if (value !== zero) yield ['zero', zero]
  if (value !== most) yield ['greatest', most]
  if (value !== most) yield ['one more', add(value, one)]
  // Minus one below zero is what a negative number becomes on the wire: the greatest.
  if (value !== zero) yield ['one less', add(value, -one as T)]
}

function* byteChanges(
  type: ByteVectorType | ByteListType,
  value: Uint8Array,
): Iterable<[string, Uint8Array]> {
  if (value.some((byte) => byte !== 0)) yield ['zeros', new Uint8Array(value.length)]
  yield ['ones', new Uint8Array(value.length).fill(0xff)]
  if (value.length > 0) {
    yield ['first bit', flipped(value, 0)]
    yield ['last bit', flipped(value, value.length - 1)]
  }
  if (type instanceof ByteVectorType) return
  yield ['longer', Uint8Array.from([...value, 1])]
  if (value.length === 0) return
  yield ['empty', new Uint8Array(0)]
  yield ['shorter', value.slice(0, -1)]
}

/** The same bytes with the lowest bit of one of them changed. */
export function flipped(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const changed = Uint8Array.from(bytes)
  changed[at] = (changed[at] as number) ^ mask
  return changed
}
