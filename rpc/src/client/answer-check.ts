import { fault, ok, type Result } from '@ioex/chain/bytes'
import { z } from 'zod'
import { type MethodName, methods, type ResultOf } from '../contract/methods.ts'

/** Items of all lists in one answer: a block's lists fit four times. */
const ANSWER_ITEMS_MAX = 262_144

/**
 * The result of a method, if it has the contract's form. It is looked through up to the first thing
 * that is wrong: zod notes everything, which takes minutes and gigabytes where a hostile node
 * sends some megabytes of `{}`.
 */
export function checkAnswer<M extends MethodName>(method: M, result: unknown): Result<ResultOf<M>> {
  const schema: z.ZodType = methods[method].result
  const wrong = new Look().into(schema, result, '')
  if (wrong !== undefined) return fault('ANSWER_FORM', wrong)
  const parsed = schema.safeParse(result)
  if (parsed.success) return ok(parsed.data as ResultOf<M>)
  return fault('ANSWER_FORM', parsed.error.issues[0]?.message ?? 'it does not fit')
}

class Look {
  #itemsLeft = ANSWER_ITEMS_MAX

  /** What is wrong first, and where; undefined where everything fits. */
  into(schema: z.core.$ZodType, value: unknown, path: string): string | undefined {
    if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
      const isNone = schema instanceof z.ZodOptional ? value === undefined : value === null
      return isNone ? undefined : this.into(schema.unwrap(), value, path)
    }
    if (schema instanceof z.ZodUnion) return this.#intoUnion(schema, value, path)
    if (schema instanceof z.ZodArray && Array.isArray(value)) {
      return this.#intoArray(schema, value, path)
    }
    if (schema instanceof z.ZodObject && isObject(value))
      return this.#intoObject(schema, value, path)
    const parsed = z.safeParse(schema, value)
    return parsed.success ? undefined : `${path} ${parsed.error.issues[0]?.message}`.trim()
  }

  #intoObject(schema: z.ZodObject, value: Record<string, unknown>, path: string) {
    for (const [name, inner] of Object.entries(schema.shape)) {
      const wrong = this.into(inner, value[name], path === '' ? name : `${path}.${name}`)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

  #intoArray(schema: z.ZodArray, value: readonly unknown[], path: string) {
    this.#itemsLeft -= value.length
    if (this.#itemsLeft < 0) return `more than ${ANSWER_ITEMS_MAX} items`
    for (const [at, item] of value.entries()) {
      const wrong = this.into(schema.element, item, `${path}[${at}]`)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

  #intoUnion(schema: z.ZodUnion, value: unknown, path: string) {
    let last: string | undefined
    for (const option of schema.options) {
      last = this.into(option, value, path)
      if (last === undefined) return undefined
    }
    return last
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
