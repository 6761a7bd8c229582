import { createSecretKey, type KeyObject } from 'node:crypto'
import { bytesToHex, parseHex } from '@ioex/chain/bytes'
import { maskKey, slotMaskKey } from '../manifest/pack-keys.ts'
import { SLOTS_MAX } from '../slicing/pack-geometry.ts'

/**
 * What an owner hands to the delegate of a contract: it can rebuild slots with it and read
 * nothing (PROTOCOL 5.1). As JSON, so that it can be kept in a file.
 */
export interface RepairKeys {
  readonly contract: number
  /** Of the contract, hex. */
  readonly salt: string
  /** Slots of the contract. */
  readonly n: number
  /** Key of the contract's masks, hex. Secret. */
  readonly maskKey: string
}

export function repairKeys(
  master: Uint8Array,
  contract: number,
  record: { readonly salt: Uint8Array; readonly n: number },
): RepairKeys {
  const { salt, n } = record
  return { contract, salt: bytesToHex(salt), n, maskKey: bytesToHex(maskKey(master, salt)) }
}

/** What the keys open; undefined where they are no such keys. */
export function openRepairKeys(
  keys: Partial<RepairKeys>,
): { contract: number; salt: Uint8Array; slotKeys: KeyObject[] } | undefined {
  const { contract, n } = keys
  const salt = parseHex(String(keys.salt), 32)
  const mask = parseHex(String(keys.maskKey), 32)
  if (!salt.ok || salt.value.length !== 32 || !mask.ok || mask.value.length !== 32) return undefined
  if (!Number.isInteger(contract) || !Number.isInteger(n)) return undefined
  if ((contract as number) < 0 || (n as number) < 1 || (n as number) > SLOTS_MAX) return undefined
  const slotKeys = Array.from({ length: n as number }, (_, slot) =>
    createSecretKey(slotMaskKey(mask.value, salt.value, slot)),
  )
  return { contract: contract as number, salt: salt.value, slotKeys }
}
