import type { Logger } from 'pino'
import type { JoinProgress } from '@ioex/chain/node'
import { installNativeCrypto } from '@ioex/chain/native'
import type { PassphraseSource } from '../keys/passphrase.ts'
import type { NodeConfig } from './node-config.ts'
import type { RunningNode } from './running-node.ts'

/** Starts the node of a config; loads only what its role needs, so that peers stay small. */
export async function startNode(
  config: NodeConfig,
  logger: Logger,
  passphrase: PassphraseSource,
  onJoining?: (progress: JoinProgress) => void,
): Promise<RunningNode> {
  const native = await installNativeCrypto()
  logger.info({ role: config.role, ...native }, 'starting')
  switch (config.role) {
    case 'validator':
      return (await import('./validator-process.ts')).startValidator(
        config,
        logger,
        passphrase,
        onJoining,
      )
    case 'bootstrap':
      return (await import('./bootstrap-process.ts')).startBootstrap(config, logger, passphrase)
    case 'peer':
      return (await import('./peer-process.ts')).startPeer(config, logger, passphrase)
  }
}
