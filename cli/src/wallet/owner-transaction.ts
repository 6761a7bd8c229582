import { bytesToHex, formatAddress, fromHex } from '@ioex/chain/bytes'
import { baseFeeCap } from '@ioex/chain/rules'
import { encodeTransaction, type Payload, signTransaction } from '@ioex/chain/types'
import type { LightChainClient, RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { CommandError } from '../output/failure.ts'
import type { OwnerKey } from './owner-key.ts'

/** Blocks for which a transaction may wait to be taken. */
const VALID_BLOCKS = 60
const WAIT_MS = 25_000

export type FinalTransaction = ResultOf<'chain_waitTransaction'>

/**
 * Signs what an owner wants done and hands it in; resolves when it is final, or at once with
 * `waits` false. Its fee cap is above the base fee, so that a rise does not strand it. With a
 * chain by proof it is signed for that chain, and its end counts when it is proven.
 */
export async function sendOwnerTransaction(
  client: RpcClient,
  owner: OwnerKey,
  payload: Payload,
  waits: boolean,
  chain?: LightChainClient,
): Promise<{ id: string; final: FinalTransaction | undefined }> {
  const [status, params] = await Promise.all([
    client.call('chain_getStatus', {}),
    client.call('chain_getParams', {}),
  ])
  const address = formatAddress(owner.address, params.addressPrefix)
  const { nonce } = await client.call('chain_getNonce', { address })
  const body = {
    sender: owner.publicKey,
    nonce,
    validUntil: status.height + VALID_BLOCKS,
    maxBaseFee: baseFeeCap(BigInt(status.baseFee)),
    tip: 0n,
    payload,
  }
  const chainId = chain?.chainId ?? fromHex(status.chainId)
  if (bytesToHex(chainId) !== status.chainId) {
    throw new CommandError('CHAIN_OTHER', `${client.url} is a node of another network`)
  }
  const transaction = signTransaction(body, chainId, owner.secretKey)
  const { id } = await client.call('chain_sendTransaction', {
    transaction: bytesToHex(encodeTransaction(transaction)),
  })
  if (!waits) return { id, final: undefined }
  const final = await waitUntilFinal(client, id, body.validUntil)
  const proven = await chain?.outcome(id, body.validUntil)
  return { id, final: proven ? { ...final, height: proven.height } : final }
}

async function waitUntilFinal(
  client: RpcClient,
  id: string,
  validUntil: number,
): Promise<FinalTransaction> {
  for (;;) {
    const { height } = await client.call('chain_getStatus', {})
    const found = await client.call('chain_waitTransaction', { id, timeoutMs: WAIT_MS })
    if (found.state === 'final') return found
    if (height > validUntil) {
      throw new CommandError('EXPIRED', `no block took the transaction ${id}: nothing was sent`)
    }
  }
}
