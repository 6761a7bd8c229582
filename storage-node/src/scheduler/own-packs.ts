import { bytesToHex } from '@ioex/chain/bytes'
import type { Contract } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { PackLabel } from '../manifest/pack-label.ts'
import type { ChainClient } from '../node/chain-client.ts'
import { openLabel, packSecrets, type PackSecrets } from '../sealing/pack-secrets.ts'
import { type PackGeometry, packGeometry } from '../slicing/pack-geometry.ts'
import { reasonOf } from '../transfer/transfer-error.ts'

/** A pack of the owner as the chain alone leads to it. */
export interface OwnPack {
  /** Contract index. */
  readonly contract: number
  readonly record: Contract
  readonly label: PackLabel
  readonly geometry: PackGeometry
  readonly secrets: PackSecrets
}

/** The owner's packs: its contracts whose labels open under its master secret (PROTOCOL 5.5). */
export async function ownPacks(
  chain: ChainClient,
  owner: Uint8Array,
  master: Uint8Array,
  logger: Logger,
): Promise<OwnPack[]> {
  const packs: OwnPack[] = []
  for (const { index, record } of await chain.contractsOfPayer(owner)) {
    const pack = openPack(index, record, master)
    if (typeof pack === 'string')
      logger.debug({ contract: index, reason: pack }, 'label not opened')
    else packs.push(pack)
  }
  return packs
}

/** The pack of a contract, or why its label leads to none: anybody may write any label. */
function openPack(index: number, record: Contract, master: Uint8Array): OwnPack | string {
  try {
    const label = openLabel(master, record.salt, record.label)
    if (!label.ok) return label.fault.message
    const { k, n, packBytes } = label.value
    if (k !== record.k || n !== record.n) return 'label and contract name different shards'
    const geometry = packGeometry(k, n, packBytes)
    if (!geometry.ok) return geometry.fault.message
    const secrets = packSecrets(master, record.salt, label.value)
    return { contract: index, record, label: label.value, geometry: geometry.value, secrets }
  } catch (error) {
    return reasonOf(error)
  }
}

/** Names a pack in caches and journals. */
export function packName(pack: Pick<OwnPack, 'contract' | 'record'>): string {
  return `${pack.contract}-${bytesToHex(pack.record.salt).slice(0, 32)}`
}
