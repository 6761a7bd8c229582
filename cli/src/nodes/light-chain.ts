import { type Genesis, validatorSetOf } from '@ioex/chain/rules'
import { LightChainClient, RpcError } from '@ioex/rpc/client'
import { ChainRefusal } from '@ioex/storage-node/node'

/**
 * The chain as thin nodes and commands see it: over at least two full nodes, certified. Without a
 * deadline it waits for their first certified head as long as it takes. A node of one's own needs
 * no second witness.
 */
export async function openLightChain(
  genesis: Genesis,
  rpcUrls: readonly string[],
  onAlarm: (message: string) => void,
  deadlineMs?: number,
  asksOwnNode = false,
): Promise<LightChainClient> {
  const { ledger, chainId, params } = genesis
  const validators = validatorSetOf(ledger, 1) ?? []
  const client = new LightChainClient({
    endpoints: rpcUrls,
    chainId,
    params,
    validators,
    allowSingleEndpoint: asksOwnNode,
    refusal: (code, message) => new ChainRefusal(code, message),
    onAlarm: (alarm) => onAlarm(`two certified histories exist: ${JSON.stringify(alarm)}`),
  })
  if (deadlineMs === undefined) {
    await client.start()
    return client
  }
  const timer = setTimeout(() => void client.close(), deadlineMs)
  try {
    await client.start()
  } catch {
    throw new RpcError(
      'BAD_RESPONSE',
      'no full node proves a final block of this genesis: does genesis.json belong to this network?',
    )
  } finally {
    clearTimeout(timer)
  }
  return client
}
