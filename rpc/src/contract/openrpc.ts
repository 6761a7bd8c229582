import { z } from 'zod'
import { errorNumbers } from './error-codes.ts'
import type { JsonValue } from './ssz-json.ts'
import { type MethodName, methods } from './methods.ts'

export interface OpenRpcDocument {
  openrpc: string
  info: { title: string; version: string; description: string; license: { name: string } }
  servers: { name: string; url: string }[]
  methods: { [field: string]: JsonValue }[]
}

/** The OpenRPC 1.3 document of the given methods, derived from their definitions. */
export function openRpcDocument(
  served: readonly MethodName[],
  about: { readonly version: string; readonly url: string },
): OpenRpcDocument {
  return {
    openrpc: '1.3.2',
    info: {
      title: 'ioeX JSON-RPC',
      version: about.version,
      description:
        'Amounts are strings of whole units (1 IOEX = 10^8 units); hashes are hex; addresses ' +
        'are bech32m; `ssz` holds the exact bytes. Every error has a stable text in data.code.',
      license: { name: 'MIT' },
    },
    servers: [{ name: 'this node', url: about.url }],
    methods: served.map(describeMethod),
  }
}

function describeMethod(name: MethodName): { [field: string]: JsonValue } {
  const method = methods[name]
  const params = jsonSchema(method.params, 'input')
  const required = (params.required ?? []) as string[]
  const properties = (params.properties ?? {}) as { [field: string]: JsonValue }
  const example = method.example as { [field: string]: JsonValue }
  return {
    name,
    summary: method.summary,
    tags: [
      { name: name.split(/[._]/)[0] ?? name },
      ...(method.token ? [{ name: 'token', description: 'needs the access token' }] : []),
      ...(method.socketOnly ? [{ name: 'websocket', description: 'only on /ws' }] : []),
    ],
    paramStructure: 'by-name',
    params: Object.entries(properties).map(([field, schema]) => ({
      name: field,
      required: required.includes(field),
      schema,
    })),
    result: { name: 'result', schema: jsonSchema(method.result, 'output') },
    errors: [
      { code: errorNumbers.INVALID_PARAMS, message: 'the parameters do not fit' },
      { code: errorNumbers.NOT_FOUND, message: 'there is nothing under that name' },
    ],
    examples: [
      {
        name: 'example',
        params: Object.entries(example).map(([field, value]) => ({ name: field, value })),
      },
    ],
  }
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): { [field: string]: JsonValue } {
  // OpenRPC embeds JSON Schema draft 7.
  const json = z.toJSONSchema(schema, { io, target: 'draft-7' })
  const { $schema: _, ...rest } = json
  return rest as { [field: string]: JsonValue }
}
