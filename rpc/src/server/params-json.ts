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

function valueToJson(value: string | number | bigint | object): JsonValue {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'object') return { ...value } as { [field: string]: JsonValue }
  return value
}
