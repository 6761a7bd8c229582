import { join, resolve } from 'node:path'
import {
  exportSignerLease,
  importSignerLease,
  LEASE_FILE,
  parseLease,
  readLeaseFile,
} from '@ioex/chain/driver'
import type { CommandContext } from '../command-context.ts'
import { writeNewSecretFile } from '../keys/new-file.ts'
import { CommandError } from '../output/failure.ts'
import { keyPath, readSmallText } from './node-keys.ts'
import { consensusKeyOf } from './validator-status.ts'

const LEASE_TEXT_MAX = 4096
const consensusFolder = (data: string) => join(data, 'consensus')

/** validator lease export: what another folder must not sign; this one signs no more. */
export async function exportLease({ settings, io, output }: CommandContext, file: string) {
  const folder = consensusFolder(settings.data)
  const lease = await readLeaseFile(join(folder, LEASE_FILE))
  if (!lease) {
    throw new CommandError(
      'LEASE_MISSING',
      `${settings.data} has no lease: no validator has run there`,
    )
  }
  if (lease.floor.epoch === Number.MAX_SAFE_INTEGER) {
    output.note('This lease was exported before. Import only one of the files, ever.')
  }
  const path = resolve(io.folder, file)
  await writeNewSecretFile(path, await exportSignerLease(folder, { retire: true }))
  const { chainId, publicKey, lease: leased } = lease
  output.result(
    { path, chainId, publicKey, leased },
    () => `Wrote ${path}. The validator of this folder signs nothing any more.`,
  )
}

/** validator lease import: takes over a lease; nothing it covers is ever signed here. */
export async function importLease({ settings, io, output }: CommandContext, file: string) {
  const { data } = settings
  const path = resolve(io.folder, file)
  const text = await readSmallText(path, LEASE_TEXT_MAX)
  const key = await consensusKeyOf(data)
  if (key === undefined) {
    throw new CommandError(
      'KEY_FILE_MISSING',
      `there is no consensus key at ${keyPath(data, 'consensus')}: copy it there first`,
    )
  }
  if (parseLease(text)?.publicKey !== key) {
    throw new CommandError('LEASE_FOREIGN', `${path} is not a lease of the key in ${data}`)
  }
  const { floor } = await importSignerLease(consensusFolder(data), text)
  output.result(
    { path: join(consensusFolder(data), LEASE_FILE), above: floor },
    () => `Votes only above view ${floor.view} of epoch ${floor.epoch} from now on.`,
  )
}
