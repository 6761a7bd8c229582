import { setTimeout } from 'node:timers/promises'
import { formatAddress } from '../bytes/address.ts'
import { fromHex, type Hex } from '../bytes/hex.ts'
import { validatorAt, validatorOfKey } from '../rules/validator-set.ts'
import type { Ledger } from '../state/ledger.ts'

/** Skip timeouts for which a node that stops for a fork still serves what shows it. */
const FAREWELL_SKIPS = 4

/** Peers are sent the certificates and told the evidence's ids; they still have to fetch it. */
export async function farewell({ params }: Pick<Ledger, 'params'>): Promise<void> {
  await setTimeout(FAREWELL_SKIPS * params.skipTimeoutMs)
}

/** Whose the guilty keys are, as far as the ledger knows: `key: validator 3, owner tioex1…`. */
export function ownersOf(ledger: Ledger, keys: readonly Hex[]): string[] {
  return keys.flatMap((key) => {
    const index = validatorOfKey(ledger, fromHex(key))
    if (index === undefined) return []
    const owner = formatAddress(validatorAt(ledger, index).owner, ledger.params.addressPrefix)
    return [`${key}: validator ${index}, owner ${owner}`]
  })
}
