import { join } from 'node:path'
import type { Logger } from 'pino'
import { ChainRefusal } from '@ioex/storage-node/node'
import { readGenesis } from './genesis-of.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { keyPath } from '../operate/node-keys.ts'
import { readKey } from './key-file.ts'
import { openLightChain } from './light-chain.ts'
import { ConfigError, type NodeConfig } from './node-config.ts'

/** What bootstrap nodes and peers share: keys, genesis and a light client of the chain. */
export async function openThinNode(
  config: NodeConfig,
  logger: Logger,
  passphrase: PassphraseSource,
) {
  const genesis = await readGenesis(config.genesis, config.forks)
  const nodeKey = await readKey(keyPath(config.data, 'node'), 'node', passphrase)
  const { rpcUrls = [], asksOwnNode = false } = config
  if (rpcUrls.length < (asksOwnNode ? 1 : 2)) {
    throw new ConfigError(`${config.name}: give at least two rpcUrls, so that none can lie alone`)
  }
  const alarm = (message: string) => logger.fatal(message)
  const options = {
    genesis,
    trustFile: join(config.data, 'light-trust.json'),
    refusal: (code: string, message: string) => new ChainRefusal(code, message),
  }
  const chain = await openLightChain(options, rpcUrls, alarm, undefined, asksOwnNode)
  return { genesis, nodeKey, chain }
}
