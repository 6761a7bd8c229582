import type { Genesis } from '@ioex/chain/rules'
import { LightChainClient } from '@ioex/rpc/client'
import { ChainRefusal } from '@ioex/storage-node/node'

/** The chain as thin nodes and commands see it: over at least two full nodes, certified. */
export async function openLightChain(
  genesis: Genesis,
  rpcUrls: readonly string[],
  onAlarm: (message: string) => void,
): Promise<LightChainClient> {
  const { ledger, chainId, params } = genesis
  const validators = []
  for (let i = 0; i < ledger.validators.count; i++) {
    const validator = ledger.validators.get(i)
    if (validator) validators.push({ publicKey: validator.consensusKey, weight: validator.power })
  }
  const client = new LightChainClient({
    endpoints: rpcUrls,
    chainId,
    params,
    validators,
    refusal: (code, message) => new ChainRefusal(code, message),
    onAlarm: (alarm) => onAlarm(`two certified histories exist: ${JSON.stringify(alarm)}`),
  })
  await client.start()
  return client
}
