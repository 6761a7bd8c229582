import type { FinalBlock } from '../consensus/machine-interface.ts'
import { createMachine, type MachineState } from '../consensus/machine-state.ts'
import { paramsAt } from '../params/forks.ts'
import { epochOfHeight } from '../params/network-params.ts'
import type { BlockHost } from './block-host.ts'
import { createConsensusCrypto } from './consensus-crypto.ts'
import type { DriverClock } from './driver-clock.ts'
import type { ForkWatch } from './fork-watch.ts'
import type { HostCalls } from './host-calls.ts'
import { type RestoredLog, recordsOf } from './log-records.ts'
import type { OpenedSigner, SignerOptions } from './open-signer.ts'
import type { VotingGate } from './voting-gate.ts'

export interface EpochMachinesOptions
  extends Pick<SignerOptions, 'params' | 'chainId' | 'validator'> {
  readonly host: Pick<BlockHost, 'head' | 'epochSetup'>
  readonly hostCalls: HostCalls
  readonly signer: Pick<OpenedSigner, 'log' | 'lease'>
  readonly gate: VotingGate
  readonly fork: ForkWatch
  readonly clock: DriverClock
  /** The last epoch that this node votes in. */
  readonly haltEpoch: number
}

/** Makes the machine of an epoch, and finds what the log keeps for it. */
export class EpochMachines {
  readonly #options: EpochMachinesOptions

  constructor(options: EpochMachinesOptions) {
    this.#options = options
  }

  /** For the block after the host's head. */
  async create(): Promise<MachineState> {
    const { host, hostCalls, params, validator, signer, haltEpoch } = this.#options
    const head: FinalBlock = await hostCalls.run(() => host.head())
    const epoch = epochOfHeight(params, head.header.height + 1)
    const setup = await hostCalls.run(() => host.epochSetup(epoch))
    const index = await validator?.key.claimIndex(setup.validators, signer.lease)
    const { gate, fork, clock, chainId } = this.#options
    return createMachine({
      setup,
      head,
      self: epoch > haltEpoch ? undefined : index,
      signAbove: gate.signAbove(head, epoch, clock.now()),
      settledEpoch: fork.settledEpoch,
      timing: paramsAt(params, epoch),
      crypto: createConsensusCrypto(chainId, validator?.key.secretKey),
    })
  }

  /** What the log keeps of an epoch. */
  recordsOf(epoch: number): RestoredLog {
    const { signer, fork } = this.#options
    const { records, bodies } = recordsOf(signer.log.live.filter((entry) => entry.epoch === epoch))
    return { records: fork.withoutGivenUp(records), bodies }
  }
}
