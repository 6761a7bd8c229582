import { readFileSync } from 'node:fs'
import { fromHex } from '@ioex/chain/bytes'
import { asInternalHash, type InternalHash } from '@ioex/chain/elastos'
import { expect } from 'vitest'

/** Reads a vector file beside this one; its shape is stated by the test that uses it. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as T
}

export const internal = (hex: string): InternalHash => asInternalHash(fromHex(hex))

/** Takes the value out of a Result, or fails the test with the fault. */
export function valueOf<T>(
  result: { ok: true; value: T } | { ok: false; fault: { code: string; message: string } },
): T {
  if (!result.ok) expect.fail(`${result.fault.code}: ${result.fault.message}`)
  return result.value
}

export function faultCode(
  result: { ok: true } | { ok: false; fault: { code: string } },
): string | undefined {
  return result.ok ? undefined : result.fault.code
}
