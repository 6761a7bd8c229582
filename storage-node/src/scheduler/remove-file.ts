import { railRests } from '@ioex/chain/rules'
import { CloseKind, NONE, PayloadKind } from '@ioex/chain/types'
import type { StoredManifest } from '../manifest/file-index.ts'
import { indexFiles } from '../manifest/file-index.ts'
import type { ChainClient } from '../node/chain-client.ts'
import type { OwnerAccount } from '../node/transactions.ts'
import type { OwnPack } from './own-packs.ts'
import { StorageError } from './storage-interfaces.ts'

export interface Removal {
  readonly close: readonly OwnPack[]
  readonly keep: readonly OwnPack[]
}

/**
 * Which contracts a removal closes (PROTOCOL 5.4: one without live bytes) and which it must keep:
 * those that hold the current version of another file, or say that another file is removed.
 * Undefined where there is no such file.
 */
export function planRemoval(
  stored: readonly StoredManifest<OwnPack>[],
  path: string,
): Removal | undefined {
  const files = indexFiles(stored)
  const file = files.get(path)
  if (!file || file.removed) return undefined
  const needed = new Set<number>()
  for (const [name, { removed, versions }] of files) {
    if (name === path || removed) continue
    for (const { contract } of versions[0]?.parts ?? []) needed.add(contract.contract)
  }
  for (const { manifest, contract } of stored) {
    if (manifest.tombstones.length > 0) needed.add(contract.contract)
  }
  const holders = new Map(
    file.versions.flatMap(({ parts }) =>
      parts.map(({ contract }) => [contract.contract, contract]),
    ),
  )
  const packs = [...holders.values()]
  return {
    close: packs.filter(({ contract }) => !needed.has(contract)),
    keep: packs.filter(({ contract }) => needed.has(contract)),
  }
}

/** Epochs for which a tombstone is needed: as long as any pack that it speaks of. */
export function tombstoneTerm(
  chain: ChainClient,
  keep: readonly OwnPack[],
  nowEpoch: number,
): number {
  const ends = keep.map(({ record }) => record.openEpoch + 1 + record.term - nowEpoch)
  return Math.max(chain.params.minimumChargeEpochs, ...ends)
}

/** Asks to close the contracts; gives what comes back of their locks at most, units. */
export async function askToClose(
  chain: ChainClient,
  account: OwnerAccount,
  packs: readonly OwnPack[],
): Promise<bigint> {
  const rails = await chain.railsOfPayer(account.address)
  let refund = 0n
  for (const { contract: target, record } of packs) {
    const now = await chain.contract(target)
    if (!now?.live || now.generation !== record.generation) continue
    for (const rail of rails.filter((one) => one.record.contract === target)) {
      const { time, units } = railRests(rail.record)
      refund += time + units
    }
    refund += now.unfilledLock + now.prepaidFees + now.deposit + now.pot - now.potHeld
    if (now.askEpoch !== NONE) continue
    const { generation } = now
    const value = { kind: CloseKind.contract, target, generation }
    await account.send({ selector: PayloadKind.close, value })
  }
  return refund
}

export function fileUnknown(path: string): StorageError {
  const message = `there is no file "${path}" in this owner's storage: list shows all`
  return new StorageError('NOT_FOUND', message)
}
