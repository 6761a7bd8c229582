import { join } from 'node:path'
import type { Logger } from 'pino'
import { AccountOutputs } from '../follower/account-outputs.ts'
import type { FollowerOptions } from '../follower/follower.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { p256PublicKey } from '../elastos/p256.ts'

export interface MainAccountOptions {
  /** The node's own folder. */
  readonly folder: string
  readonly validator: { readonly mainKey: Uint8Array } | undefined
  readonly logger: Logger
}

/** What a validator's account on the main chain owns, and what keeps that up to date. */
export interface MainAccount {
  readonly owned: AccountOutputs | undefined
  readonly follower: Partial<FollowerOptions>
}

export function openMainAccount({ folder, validator, logger }: MainAccountOptions): MainAccount {
  if (!validator) return { owned: undefined, follower: {} }
  const accountKey = p256PublicKey(validator.mainKey)
  const address = formatElaAddress(standardProgramHash(accountKey))
  const owned = AccountOutputs.open(join(folder, 'main-account.json'), address)
  const onChange: FollowerOptions['onChange'] = (chain) => {
    try {
      if (owned.sync(chain)) return
      logger.warn({ address }, 'main blocks were missed: what the ELA address owned is not known')
    } catch (error) {
      // A full disk: it is written again with the next block.
      logger.error({ reason: String(error) }, 'what the ELA address owns cannot be written')
    }
  }
  return { owned, follower: { accountKey, onChange } }
}
