import { addressOf, bytesEqual } from '@ioex/chain/bytes'
import type { Rail, SignedVoucher } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { onceKnown } from '../node/chain-lag.ts'
import type { MeteredRail } from '../transfer/rail-meter.ts'
import type { PaidRailPlace } from '../transfer/voucher-ledger.ts'

/** A rail that a request names, as the chain has it now, if it pays the node at this address. */
export async function railPaying(
  chain: ChainClient,
  nodeAddress: Uint8Array,
  { rail: index, generation }: PaidRailPlace,
): Promise<Rail | undefined> {
  const rail = await onceKnown(chain, async () => {
    const record = await chain.rail(index)
    return record?.live && record.generation === generation ? record : undefined
  })
  const node = await chain.node(nodeAddress)
  return rail && rail.node === node?.index ? rail : undefined
}

/** What a meter counts by; undefined where the voucher's key is not the payer's. */
export function meteredRail(
  chainId: Uint8Array,
  { rail: index, generation, voucher }: PaidRailPlace & { readonly voucher: SignedVoucher },
  rail: Rail,
): MeteredRail | undefined {
  const { payerKey } = voucher
  if (!bytesEqual(addressOf(payerKey), rail.payer)) return undefined
  const { unitPrice, reservationPrice, lockUnits } = rail
  return { chainId, rail: index, generation, payerKey, unitPrice, reservationPrice, lockUnits }
}
