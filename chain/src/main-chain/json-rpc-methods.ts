import type { Result } from '../bytes/result.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import {
  JsonRpcCode,
  JsonRpcError,
  type JsonRpcHandler,
  type JsonRpcParams,
} from './json-rpc-server.ts'

/** Parameters of a call by name, unchecked. */
export type RpcArguments = Readonly<Record<string, unknown>>

export interface RpcMethod<Chain> {
  /** Names of the parameters in positional order. */
  readonly params: readonly string[]
  readonly run: (chain: Chain, args: RpcArguments) => unknown
}

/** Answers these methods about a chain; parameters come by name or by position. */
export function methodsHandler<Chain>(
  chain: Chain,
  methods: Readonly<Record<string, RpcMethod<Chain>>>,
): JsonRpcHandler {
  return async (name, params) => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    if (!method) throw new JsonRpcError(JsonRpcCode.method, `JSON-RPC method ${name} not found`)
    return method.run(chain, named(method.params, params))
  }
}

function named(names: readonly string[], params: JsonRpcParams): RpcArguments {
  if (!Array.isArray(params)) return params as RpcArguments
  return Object.fromEntries(params.map((value, at) => [names[at] ?? '', value]))
}

/** From 0; Elastos' own clients send most numbers as strings, and some as numbers. */
export function wholeNumberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  const isWhole = typeof number === 'number' && Number.isSafeInteger(number) && number >= 0
  return isWhole ? number : undefined
}

/** The texts among these whose hash is known, as they came; null if none, as the reference does. */
export function knownAmong(
  values: readonly unknown[],
  read: (text: string) => Result<InternalHash>,
  isKnown: (id: InternalHash) => boolean,
): readonly string[] | null {
  const known = values.filter((text): text is string => {
    const id = typeof text === 'string' ? read(text) : undefined
    return id?.ok === true && isKnown(id.value)
  })
  return known.length === 0 ? null : known
}
