import { join } from 'node:path'
import type { ConsensusKey } from './consensus-key.ts'
import { LEASE_FILE, readLeaseFile, SignerHistoryError, SignerLease } from './signer-lease.ts'
import type { LogCondition } from './write-ahead-log.ts'

export interface ValidatorIdentity {
  readonly key: ConsensusKey
  /** True only the first time a key is used: allows a directory without any history. */
  readonly newValidator: boolean
}

/**
 * Decides what a key may still sign after a restart (consensus 1.7), before the log is changed:
 * log intact, all; log gone, only above the lease; log damaged, from the next epoch on; lease
 * gone, nothing unless the operator says that the key is new.
 */
export async function secureSigner(
  directory: string,
  chainId: Uint8Array,
  validator: ValidatorIdentity,
  condition: LogCondition,
  epoch: number,
): Promise<SignerLease> {
  const path = join(directory, LEASE_FILE)
  const held = await readLeaseFile(path)
  if (held) await validator.key.followLease(held.publicKey)
  const { publicKey } = validator.key
  const lease = held && (await SignerLease.read(path, chainId, publicKey))
  if (!lease && !validator.newValidator) {
    throw new SignerHistoryError(
      `${directory} has no record of what this validator key signed. Restore it from a backup, ` +
        'or start as a new validator (--new-validator) if the key was never used.',
    )
  }
  const secured = lease ?? (await SignerLease.create(path, chainId, publicKey))
  if (condition === 'damaged') await secured.forbidEpoch(epoch)
  if (condition === 'new') await secured.forbidLeased()
  return secured
}
