import type { NetworkParams } from '@ioex/chain/params'
import type { ResultOf } from '../contract/methods.ts'
import type { JsonValue } from '../contract/ssz-json.ts'

/** Every parameter by name; amounts as strings of units. */
export function paramsToJson(params: NetworkParams): ResultOf<'chain_getParams'> {
  const json = Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, valueToJson(value)]),
  )
  return json as ResultOf<'chain_getParams'>
}

function valueToJson(value: unknown): JsonValue {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return value.map(valueToJson)
  if (typeof value !== 'object' || value === null) return value as JsonValue
  const fields = Object.entries(value).map(([name, each]) => [name, valueToJson(each)])
  return Object.fromEntries(fields) as JsonValue
}
