import { bytesToHex, formatAddress, fromHex } from '@ioex/chain/bytes'
import { baseFeeCap } from '@ioex/chain/rules'
import { encodeTransaction, signTransaction, type Transaction } from '@ioex/chain/types'
import { type ResultOf } from '@ioex/rpc/contract'
import type { RpcClient } from '@ioex/rpc/client'
import { CommandError } from '../output/failure.ts'
import type { OwnerKey } from './owner-key.ts'

/** Blocks for which a transfer may wait to be taken. */
const VALID_BLOCKS = 60
const WAIT_MS = 25_000

export interface TransferTerms {
  readonly to: Uint8Array
  readonly amount: bigint
  readonly nonce: number
  readonly height: number
  /** Base fee of the next block, units per byte. */
  readonly baseFee: bigint
}

/** A signed transfer; its cap is above the base fee, so that a rise does not strand it. */
export function buildTransfer(
  owner: OwnerKey,
  chainId: Uint8Array,
  { to, amount, nonce, height, baseFee }: TransferTerms,
): Transaction {
  const body = {
    sender: owner.publicKey,
    nonce,
    validUntil: height + VALID_BLOCKS,
    maxBaseFee: baseFeeCap(baseFee),
    tip: 0n,
    payload: { selector: 0, value: { to, amount } } as const,
  }
  return signTransaction(body, chainId, owner.secretKey)
}

export type FinalTransfer = ResultOf<'chain_waitTransaction'>

/** Sends money; resolves when the transfer is final, or at once with `waits` false. */
export async function sendTransfer(
  client: RpcClient,
  owner: OwnerKey,
  terms: Pick<TransferTerms, 'to' | 'amount'>,
  waits: boolean,
): Promise<{ id: string; final: FinalTransfer | undefined }> {
  const [status, params] = await Promise.all([
    client.call('chain_getStatus', {}),
    client.call('chain_getParams', {}),
  ])
  const address = formatAddress(owner.address, params.addressPrefix)
  const { nonce } = await client.call('chain_getNonce', { address })
  const baseFee = BigInt(status.baseFee)
  const details = { ...terms, nonce, height: status.height, baseFee }
  const transaction = buildTransfer(owner, fromHex(status.chainId), details)
  const { id } = await client.call('chain_sendTransaction', {
    transaction: bytesToHex(encodeTransaction(transaction)),
  })
  if (!waits) return { id, final: undefined }
  return { id, final: await waitUntilFinal(client, id, transaction.body.validUntil) }
}

async function waitUntilFinal(
  client: RpcClient,
  id: string,
  validUntil: number,
): Promise<FinalTransfer> {
  for (;;) {
    const { height } = await client.call('chain_getStatus', {})
    const found = await client.call('chain_waitTransaction', { id, timeoutMs: WAIT_MS })
    if (found.state === 'final') return found
    if (height > validUntil) {
      throw new CommandError('EXPIRED', `no block took the transfer ${id}: nothing was sent`)
    }
  }
}
