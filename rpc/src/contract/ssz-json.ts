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
  UnionType,
  type ValueOf,
  VectorCompositeType,
} from '@chainsafe/ssz'
import { assert, bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { NONE, PayloadKind, PayloadType, ReceiptBodyType, ReceiptKind } from '@ioex/chain/types'
import { z } from 'zod'

/**
 * The readable form of an SSZ value, derived from its type: 64-bit and wider integers of money
 * and weight are decimal strings, 20-byte strings are bech32m addresses, other bytes are hex,
 * a 32-bit index that says "none" is null, and a union is an object whose `type` names its kind.
 */
export type JsonOf<V> = V extends bigint
  ? string
  : V extends number
    ? number | null
    : V extends boolean
      ? boolean
      : V extends Uint8Array
        ? string
        : V extends readonly (infer E)[]
          ? JsonOf<E>[]
          : V extends { readonly selector: number }
            ? JsonUnion
            : V extends object
              ? { [K in keyof V]: JsonOf<V[K]> }
              : never

export interface JsonUnion {
  type: string
  [field: string]: JsonValue
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [field: string]: JsonValue }

const ADDRESS_BYTES = 20
const INDEX_BYTES = 4

/** Names of a union's kinds, by selector. */
const unionKinds = new Map<unknown, readonly string[]>([
  [PayloadType, namesBySelector(PayloadKind)],
  [ReceiptBodyType, namesBySelector(ReceiptKind)],
])

function namesBySelector(kinds: Readonly<Record<string, number>>): string[] {
  return Object.entries(kinds)
    .toSorted(([, a], [, b]) => a - b)
    .map(([name]) => name)
}

/** Renders a value of `type`; `addressPrefix` is the network's. */
export function sszToJson<T extends Type<unknown>>(
  type: T,
  value: ValueOf<T>,
  addressPrefix: string,
): JsonOf<ValueOf<T>> {
  return render(type, value, addressPrefix) as JsonOf<ValueOf<T>>
}

function render(type: unknown, value: unknown, prefix: string): JsonValue {
  if (type instanceof ContainerType) return renderFields(type, value, prefix)
  if (type instanceof UintNumberType) {
    return type.byteLength === INDEX_BYTES && value === NONE ? null : (value as number)
  }
  if (type instanceof UintBigintType) return (value as bigint).toString()
  if (type instanceof BooleanType) return value as boolean
  if (type instanceof ByteVectorType || type instanceof ByteListType) {
    const bytes = value as Uint8Array
    return isAddress(type) ? formatAddress(bytes, prefix) : bytesToHex(bytes)
  }
  const element = elementTypeOf(type)
  if (element) return (value as unknown[]).map((item) => render(element, item, prefix))
  assert(type instanceof UnionType, 'an SSZ type without a JSON form')
  const { selector, value: inner } = value as { selector: number; value: unknown }
  const kind = unionKinds.get(type)?.[selector]
  assert(kind !== undefined, 'a union kind without a name')
  return { type: kind, ...renderFields(type.types[selector], inner, prefix) }
}

function renderFields(type: unknown, value: unknown, prefix: string): { [f: string]: JsonValue } {
  assert(type instanceof ContainerType, 'a union kind is a container')
  const fields = value as Record<string, unknown>
  const out: { [field: string]: JsonValue } = {}
  for (const [name, fieldType] of Object.entries(type.fields)) {
    out[name] = render(fieldType, fields[name], prefix)
  }
  return out
}

/** The zod schema of what sszToJson gives for the type. */
export function jsonSchemaOf<T extends Type<unknown>>(type: T): z.ZodType<JsonOf<ValueOf<T>>> {
  return schema(type) as unknown as z.ZodType<JsonOf<ValueOf<T>>>
}

function schema(type: unknown): z.ZodType {
  if (type instanceof ContainerType) return z.looseObject(fieldSchemas(type))
  if (type instanceof UintNumberType) {
    return type.byteLength === INDEX_BYTES ? z.int().nullable() : z.int()
  }
  if (type instanceof UintBigintType) return z.string().regex(/^[0-9]{1,39}$/)
  if (type instanceof BooleanType) return z.boolean()
  if (type instanceof ByteVectorType || type instanceof ByteListType) {
    return isAddress(type) ? z.string().max(90) : z.string().regex(/^(?:[0-9a-f]{2})*$/)
  }
  const element = elementTypeOf(type)
  if (element) return z.array(schema(element))
  assert(type instanceof UnionType, 'an SSZ type without a JSON form')
  const kinds = unionKinds.get(type)
  assert(kinds !== undefined, 'a union without names')
  return z.discriminatedUnion(
    'type',
    kinds.map((kind, selector) => {
      const inner: unknown = type.types[selector]
      assert(inner instanceof ContainerType, 'a union kind is a container')
      return z.looseObject({ type: z.literal(kind), ...fieldSchemas(inner) })
    }) as unknown as [z.core.$ZodTypeDiscriminable, ...z.core.$ZodTypeDiscriminable[]],
  )
}

function fieldSchemas(type: { readonly fields: object }): Record<string, z.ZodType> {
  return Object.fromEntries(
    Object.entries(type.fields).map(([name, fieldType]) => [name, schema(fieldType)]),
  )
}

function isAddress(type: unknown): boolean {
  return type instanceof ByteVectorType && type.lengthBytes === ADDRESS_BYTES
}

function elementTypeOf(type: unknown): unknown {
  if (
    type instanceof ListCompositeType ||
    type instanceof VectorCompositeType ||
    type instanceof ListBasicType
  ) {
    return type.elementType as unknown
  }
  return undefined
}
