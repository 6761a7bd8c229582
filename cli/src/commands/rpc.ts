import type { CommandContext } from '../command-context.ts'
import { usageError } from '../output/failure.ts'
import { jsonText } from '../output/json-text.ts'

/** Calls any method of the node and shows what it answers. */
export async function callRpc(
  context: CommandContext,
  method: string,
  json: string | undefined,
): Promise<void> {
  const params = readParams(json)
  const result = await (await context.client()).callUnchecked(method, params)
  context.output.result(result, () => jsonText(result, 2))
}

function readParams(json: string | undefined): object {
  if (json === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw usageError(`the parameters are not JSON: quote them, e.g. '{"height": 12}'`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usageError(`give parameters by name, as a JSON object, e.g. '{"height": 12}'`)
  }
  return value
}
