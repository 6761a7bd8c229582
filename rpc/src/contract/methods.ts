import type { z } from 'zod'
import { anchorMethods } from './anchor-methods.ts'
import { chainMethods } from './chain-methods.ts'
import { contractsMethods } from './contracts-methods.ts'
import { discoveryMethods } from './discovery-methods.ts'
import { nodeMethods } from './node-methods.ts'
import { nodesMethods } from './nodes-methods.ts'
import { pegMethods } from './peg-methods.ts'
import { railsMethods } from './rails-methods.ts'
import { receiptsMethods } from './receipts-methods.ts'
import { rewardsMethods } from './rewards-methods.ts'
import { storageMethods } from './storage-methods.ts'

/** The whole interface: one definition per method. */
export const methods = {
  ...chainMethods,
  ...nodesMethods,
  ...contractsMethods,
  ...railsMethods,
  ...receiptsMethods,
  ...rewardsMethods,
  ...anchorMethods,
  ...pegMethods,
  ...nodeMethods,
  ...storageMethods,
  ...discoveryMethods,
} as const

export type MethodName = keyof typeof methods
/** What a caller gives. */
export type ParamsOf<M extends MethodName> = z.input<(typeof methods)[M]['params']>
/** What a handler gets. */
export type CheckedParamsOf<M extends MethodName> = z.output<(typeof methods)[M]['params']>
export type ResultOf<M extends MethodName> = z.output<(typeof methods)[M]['result']>

export const methodNames = Object.keys(methods) as MethodName[]

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name)
}
