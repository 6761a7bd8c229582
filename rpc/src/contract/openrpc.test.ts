import { expect, test } from 'vitest'
import { errorNumber, errorNumbers } from './error-codes.ts'
import { isMethodName, methodNames, methods } from './methods.ts'
import { openRpcDocument } from './openrpc.ts'

// Its types are TypeScript sources, which our compiler would check by our rules: loaded untyped.
const validator: string = '@open-rpc/schema-utils-js'

const about = { version: '0.1.0', url: 'http://127.0.0.1:20666/rpc' }

test('the document is valid OpenRPC and lists every method', async () => {
  const document = openRpcDocument(methodNames, about)
  const { parseOpenRPCDocument } = (await import(validator)) as {
    parseOpenRPCDocument(text: string): Promise<{ methods: { name: string }[] }>
  }
  const parsed = await parseOpenRPCDocument(JSON.stringify(document))
  expect(parsed.methods.map(({ name }) => name)).toEqual(methodNames)
})

test('every example fits its own definition, and nothing else is let in', () => {
  for (const name of methodNames) {
    const { params, example } = methods[name]
    expect(params.safeParse(example).success, name).toBe(true)
    expect(params.safeParse({ ...example, unheardOf: 1 }).success, name).toBe(false)
  }
})

test('names are looked up as own properties only', () => {
  expect(isMethodName('chain_getStatus')).toBe(true)
  expect(isMethodName('toString')).toBe(false)
  expect(errorNumber('toString')).toBe(errorNumbers.TRANSACTION_REJECTED)
  expect(errorNumber('INSUFFICIENT_FUNDS')).toBe(-32050)
})
