import type { Logger } from 'pino'
import { bytesToHex } from '@ioex/chain/bytes'
import { startBootstrapNode } from '@ioex/storage-node/node'
import { bootstrapHealth } from './thin-health.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { formerNodeKeys } from '../operate/key-swap.ts'
import { ConfigError, type NodeConfig } from './node-config.ts'
import { type RunningNode, unknownQuestion } from './running-node.ts'
import { openThinNode } from './thin-node.ts'

/** A bootstrap node: directory of offers and relay. */
export async function startBootstrap(
  config: NodeConfig,
  logger: Logger,
  passphrase: PassphraseSource,
): Promise<RunningNode> {
  const { listen, relay } = config
  if (!listen || !relay)
    throw new ConfigError(`${config.name}: a bootstrap node needs listen and relay`)
  const { chain, nodeKey } = await openThinNode(config, logger, passphrase)
  const node = await startBootstrapNode({
    dataDir: config.data,
    nodeKey,
    formerKeys: await formerNodeKeys(config.data, passphrase),
    chain,
    bootstrap: config.peers,
    listen,
    advertise: config.announce,
    unitPrice: BigInt(relay.unitPrice),
    reservationPrice: BigInt(relay.reservationPrice),
    logger,
  })
  return {
    info: { nodeKey: bytesToHex(node.nodeKey), multiaddrs: node.multiaddrs },
    async ask(question) {
      if (question === 'status') return node.status()
      if (question === 'redeem') return node.redeem()
      throw unknownQuestion(question)
    },
    async stop() {
      await node.stop()
      await chain.close()
    },
    health: bootstrapHealth(chain, node),
  }
}
