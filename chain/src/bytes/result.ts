/**
 * What a rule answers to bad input: a stable code and the facts that show it.
 * Faults are values; bugs are assertions; operating errors are exceptions of the shell.
 */
export interface Fault<Code extends string = string> {
  readonly code: Code
  /** One sentence in plain words: what is wrong and, where it helps, what to do. */
  readonly message: string
  readonly facts?: Readonly<Record<string, string | number | bigint | boolean>>
}

export type Result<T, F extends Fault = Fault> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: F }

export function ok(): { readonly ok: true; readonly value: undefined }
export function ok<T>(value: T): { readonly ok: true; readonly value: T }
export function ok<T>(value?: T) {
  return { ok: true, value } as const
}

export function fault<Code extends string>(
  code: Code,
  message: string,
  facts?: Fault['facts'],
): { readonly ok: false; readonly fault: Fault<Code> } {
  return { ok: false, fault: facts === undefined ? { code, message } : { code, message, facts } }
}
