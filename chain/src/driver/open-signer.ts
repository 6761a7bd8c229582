import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { FinalBlock } from '../consensus/machine-interface.ts'
import { epochOfHeight, type NetworkParams } from '../params/network-params.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import { DiskReserve, RESERVE_BYTES } from './disk-reserve.ts'
import { type ForkRecord, refuseForked, settledFork } from './fork-record.ts'
import { secureSigner, type ValidatorIdentity } from './signer-history.ts'
import type { SignerLease } from './signer-lease.ts'
import { isAfter, type LogCondition, type OpenedLog, WriteAheadLog } from './write-ahead-log.ts'

export interface SignerOptions {
  /** Keeps the write-ahead log and the signer's lease; one process at a time. */
  readonly directory: string
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  /** Undefined: follow without voting. */
  readonly validator: ValidatorIdentity | undefined
  /** Room kept on the validator's disk; default RESERVE_BYTES. */
  readonly reserveBytes?: number | undefined
  readonly logger: Logger
}

/** What stands between the key and the network: the log, the lease, the directory's lock. */
export interface OpenedSigner extends OpenedLog {
  readonly lease: SignerLease | undefined
  readonly lock: DirectoryLock
  readonly reserve: DiskReserve | undefined
  /** The fork that the operator has decided. */
  readonly settled: ForkRecord | undefined
}

/**
 * Opens a validator's directory for one process. What its key may still sign is settled before
 * anything is changed (consensus 1.7). Throws DirectoryInUseError, ForkProofError, DiskFullError
 * or SignerHistoryError.
 */
export async function openSigner(options: SignerOptions, head: FinalBlock): Promise<OpenedSigner> {
  const { directory, validator, reserveBytes = RESERVE_BYTES } = options
  await mkdir(directory, { recursive: true })
  const lock = await lockDirectory(directory)
  try {
    await refuseForked(directory)
    const settled = await settledFork(directory)
    const reserve = validator && (await DiskReserve.hold(directory, reserveBytes))
    return { ...(await openLog(options, head)), lock, reserve, settled }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function openLog(options: SignerOptions, head: FinalBlock) {
  const { directory, chainId, params, validator, logger } = options
  const epoch = epochOfHeight(params, head.header.height + 1)
  let lease: SignerLease | undefined
  const secure = async (condition: LogCondition) => {
    if (!validator) return
    lease = await secureSigner(directory, chainId, validator, condition, epoch)
  }
  const opened = await WriteAheadLog.open(join(directory, 'wal'), chainId, secure)
  const { condition, prunedThrough } = opened
  if (condition === 'damaged') logger.error('the write-ahead log is damaged: no vote this epoch')
  const finalView = head.header.epoch === epoch ? (head.certificate?.statement.view ?? 0) : 0
  if (isAfter(prunedThrough, { epoch, view: finalView })) {
    // The database was set back behind what the log has already forgotten.
    logger.error('the chain is older than the write-ahead log: votes only above the lease')
    await lease?.forbidLeased()
  }
  return { ...opened, lease }
}
