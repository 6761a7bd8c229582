import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { lockDirectory } from './directory-lock.ts'
import {
  LEASE_FILE,
  type LeaseFile,
  laterPlace,
  leaseText,
  parseLease,
  readLeaseFile,
  SignerHistoryError,
  writeLeaseFile,
} from './signer-lease.ts'

/** Nothing of any epoch is above this. */
const EVERYTHING = { epoch: Number.MAX_SAFE_INTEGER, view: Number.MAX_SAFE_INTEGER }

/**
 * The signer's lease of a consensus directory as JSON: what another machine must know before it
 * signs with this key. With `retire` this directory never signs again, so that the move cannot end
 * in two signers. The node must not run. Throws DirectoryInUseError, SignerHistoryError.
 */
export async function exportSignerLease(
  directory: string,
  { retire }: { readonly retire: boolean },
): Promise<string> {
  const lock = await lockDirectory(directory)
  try {
    const path = join(directory, LEASE_FILE)
    const lease = await readLeaseFile(path)
    if (!lease) throw new SignerHistoryError(`${directory} has no record of what was signed`)
    if (retire) await writeLeaseFile(path, { ...lease, floor: EVERYTHING })
    return leaseText({ ...lease, floor: lease.lease })
  } finally {
    await lock.release()
  }
}

/**
 * Takes over an exported lease: nothing that the other machine may have signed is signed here. A
 * lease that is here already is raised, never lowered. Throws DirectoryInUseError,
 * SignerHistoryError for text that is no lease or of another chain or key than the one here.
 */
export async function importSignerLease(directory: string, text: string): Promise<LeaseFile> {
  const imported = parseLease(text)
  if (!imported) throw new SignerHistoryError('this is no exported signer lease')
  await mkdir(directory, { recursive: true })
  const lock = await lockDirectory(directory)
  try {
    const path = join(directory, LEASE_FILE)
    const own = await readLeaseFile(path)
    if (own && (own.chainId !== imported.chainId || own.publicKey !== imported.publicKey)) {
      throw new SignerHistoryError(`${path} belongs to another chain or validator key`)
    }
    const forbidden = laterPlace(imported.lease, imported.floor)
    const merged: LeaseFile = {
      ...imported,
      lease: laterPlace(own?.lease ?? imported.lease, imported.lease),
      floor: laterPlace(own?.floor ?? forbidden, forbidden),
    }
    await writeLeaseFile(path, merged)
    return merged
  } finally {
    await lock.release()
  }
}
