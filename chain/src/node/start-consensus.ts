import { join } from 'node:path'
import { ConsensusDriver } from '../driver/consensus-driver.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { CatchUp } from './catch-up.ts'
import { consensusTransport } from './consensus-wire.ts'
import type { FullNodeOptions } from './full-node-options.ts'
import { SignerWatch } from './signer-watch.ts'

/** T0 x 10 (consensus 1.7): several views of a slow network. */
const WATCH_TIMEOUTS = 10

export interface ConsensusParts {
  readonly manager: ChainManager
  readonly network: FullNodeNetwork
  readonly catchUp: CatchUp
  /** Undefined for a node that only follows. */
  readonly signerWatch: SignerWatch | undefined
  /** The chain was fetched just now as a snapshot. */
  readonly joined: boolean
}

/** What looks for other processes with this node's consensus key; undefined without a key. */
export function createSignerWatch(
  options: FullNodeOptions,
  parts: Pick<ConsensusParts, 'manager' | 'network'>,
  onTwin: () => void,
): SignerWatch | undefined {
  const { validator, logger } = options
  if (!validator) return undefined
  const { consensusKey } = validator
  return new SignerWatch({ ...parts, consensusKey, watchMs: watchMsOf(options), onTwin, logger })
}

/** Takes part in consensus, or only listens where there is no key. Throws as the driver does. */
export function startConsensus(
  options: FullNodeOptions,
  { manager, network, catchUp, signerWatch, joined }: ConsensusParts,
): Promise<ConsensusDriver> {
  const { genesis, folder, validator, logger, peers, haltEpoch } = options
  const { params, chainId } = genesis
  const isHeld = () => catchUp.isHeld
  return ConsensusDriver.start({
    host: manager,
    transport: consensusTransport(network, isHeld),
    params,
    chainId,
    directory: join(folder, 'consensus'),
    validator: validator && {
      key: validator.consensusKey,
      newValidator: validator.newValidator === 'ifNotBehind' ? !joined : validator.newValidator,
    },
    watchMs: watchMsOf(options),
    lookAround:
      signerWatch && (() => signerWatch.lookAround(() => catchUp.sync, peers.length, isHeld)),
    tipAgeMaxMs: joined
      ? Math.max(params.epochBlocks * params.blockIntervalMs, params.clockBehindMs)
      : undefined,
    reserveBytes: validator?.reserveBytes,
    logger,
    haltEpoch,
  })
}

function watchMsOf({ validator, genesis }: FullNodeOptions): number {
  return (validator?.watchTimeouts ?? WATCH_TIMEOUTS) * genesis.params.skipTimeoutMs
}
