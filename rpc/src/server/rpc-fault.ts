import type { Fault } from '@ioex/chain/bytes'
import { type ErrorData, type ErrorName, errorNumber } from '../contract/error-codes.ts'

/** An answer that says no: its code is stable, its message tells the caller what to do. */
export class RpcFault extends Error {
  override name = 'RpcFault'
  readonly reason: string
  readonly facts: ErrorData['facts'] | undefined

  constructor(reason: ErrorName, message: string, facts?: ErrorData['facts']) {
    super(message)
    this.reason = reason
    this.facts = facts
  }

  /** A rule's fault, under its own code. */
  static ofRule(fault: Fault): RpcFault {
    const facts = fault.facts && Object.fromEntries(Object.entries(fault.facts).map(plain))
    return new RpcFault(fault.code as ErrorName, fault.message, facts)
  }

  get number(): number {
    return errorNumber(this.reason)
  }

  get data(): ErrorData {
    return this.facts === undefined
      ? { code: this.reason }
      : { code: this.reason, facts: this.facts }
  }
}

function plain([name, value]: [string, string | number | bigint | boolean]) {
  return [name, typeof value === 'bigint' ? value.toString() : value] as const
}

export function notFound(what: string): RpcFault {
  return new RpcFault('NOT_FOUND', what)
}

export function invalidInput(message: string): RpcFault {
  return new RpcFault('INVALID_INPUT', message)
}
