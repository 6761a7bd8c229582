import type { Fault, Result } from '@ioex/chain/bytes'

/** One rule that was looked at. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly reason?: string
}

/** Collects what was checked; the first failure is the reason. */
export class Verdict {
  readonly checks: Check[] = []
  #fault: Fault | undefined

  /** Books a rule's answer; gives whether it held. */
  take(name: string, result: Result<unknown>): boolean {
    if (result.ok) {
      this.checks.push({ name, ok: true })
      return true
    }
    this.checks.push({ name, ok: false, reason: result.fault.message })
    this.#fault ??= result.fault
    return false
  }

  expect(name: string, holds: boolean, code: string, message: string): boolean {
    return this.take(
      name,
      holds ? { ok: true, value: undefined } : { ok: false, fault: { code, message } },
    )
  }

  /** `valid`, and if not, `reason` (words) and `code` (stable). */
  json() {
    const { checks } = this
    if (!this.#fault) return { valid: true, checks }
    return { valid: false, reason: this.#fault.message, code: this.#fault.code, checks }
  }
}
