import type { Type } from '@chainsafe/ssz'

/** What the composite types of SSZ show of their parts; a basic type shows none of it. */
interface Parts {
  readonly fields?: Readonly<Record<string, Type<unknown>>>
  readonly types?: readonly Type<unknown>[]
  readonly elementType?: Type<unknown>
  readonly limit?: number
  readonly isBasic: boolean
  defaultValue(): unknown
}

/**
 * Values of any SSZ type to start a fuzz test from: the zero one, one with something in each list,
 * and each choice of each union. They have the layout and mean nothing.
 */
export function samplesOf<T>(type: Type<T>): T[] {
  return variants(type as unknown as Parts) as T[]
}

function variants(type: Parts): unknown[] {
  if (type.types) {
    return type.types.flatMap((option, selector) =>
      variants(option as unknown as Parts).map((value) => ({ selector, value })),
    )
  }
  if (type.fields) return containers(type.fields)
  if (!type.elementType || type.limit === undefined) return [type.defaultValue()]
  const elements = variants(type.elementType as unknown as Parts)
  // A list of bytes is a Uint8Array, any other an array.
  if (type.defaultValue() instanceof Uint8Array) return [new Uint8Array(0), Uint8Array.of(1)]
  return [[], ...elements.slice(0, type.limit).map((element) => [element])]
}

/** The n-th container has the n-th variant of every field, or its last one. */
function containers(fields: Readonly<Record<string, Type<unknown>>>): unknown[] {
  const each = Object.entries(fields).map(
    ([name, type]) => [name, variants(type as unknown as Parts)] as const,
  )
  const count = Math.max(1, ...each.map(([, values]) => values.length))
  return Array.from({ length: count }, (_, n) =>
    Object.fromEntries(
      each.map(([name, values]) => [name, values[Math.min(n, values.length - 1)]]),
    ),
  )
}
