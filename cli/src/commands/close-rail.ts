import { CloseKind, PayloadKind } from '@ioex/chain/types'
import { RpcError, type RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import type { OwnerKey } from '../wallet/owner-key.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'

export type RailView = ResultOf<'rails_get'> | ResultOf<'rails_list'>['rails'][number]

const PAGE_MAX = 200

/** Faults of a close that only say "later". */
const LATER = new Set([
  'CLOSE_TOO_EARLY',
  'CLOSE_UNRESOLVED',
  'CHALLENGE_OPEN',
  'CHALLENGE_PENDING',
])

/**
 * One step of a rail's close; asks for it, or settles it where that was done. Gives the fault's code
 * where it has to wait, and throws every other refusal.
 */
export async function closeRail(
  client: RpcClient,
  owner: OwnerKey,
  rail: RailView,
): Promise<string | undefined> {
  const value = { kind: CloseKind.rail, target: rail.index, generation: generationOf(rail.record) }
  try {
    await sendOwnerTransaction(client, owner, { selector: PayloadKind.close, value }, true)
    return undefined
  } catch (error) {
    const code = error instanceof RpcError ? error.reason : ''
    if (LATER.has(code)) return code
    throw error
  }
}

/** All live rails of a payer or of a node. */
export async function readRails(
  client: RpcClient,
  of: { readonly payer: string } | { readonly node: string | number },
): Promise<RailView[]> {
  const rails: RailView[] = []
  let cursor: string | null = null
  do {
    const page: ResultOf<'rails_list'> = await client.call('rails_list', {
      ...of,
      limit: PAGE_MAX,
      ...(cursor !== null && { cursor }),
    })
    rails.push(...page.rails)
    cursor = page.next
  } while (cursor !== null)
  return rails
}

export function generationOf(record: unknown): number {
  const { generation } = record as { generation?: unknown }
  return typeof generation === 'number' ? generation : 0
}
