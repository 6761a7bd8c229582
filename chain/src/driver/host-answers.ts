import type { Logger } from 'pino'
import { bytesToHex } from '../bytes/hex.ts'
import type { RelayEffect } from '../consensus/epoch-relay.ts'
import { blockHash } from '../types/block.ts'
import type { BlockEnvelope, BlockHost } from './block-host.ts'
import type { DriverClock } from './driver-clock.ts'
import type { MachineInput } from './machine-input.ts'

export interface HostAnswersOptions {
  readonly host: Pick<BlockHost, 'validateBlock' | 'buildBlock'>
  readonly clock: DriverClock
  readonly logger: Logger
}

type BuildBlock = Extract<RelayEffect, { type: 'buildBlock' }>

/** What the machine asks the host about blocks, and the host's answers as the machine's events. */
export class HostAnswers {
  readonly #options: HostAnswersOptions

  constructor(options: HostAnswersOptions) {
    this.#options = options
  }

  async validate(envelope: BlockEnvelope): Promise<MachineInput> {
    const { host, clock, logger } = this.#options
    const { hash, header } = envelope
    const validation = await host.validateBlock(envelope)
    const { verdict } = validation
    if (validation.verdict !== 'valid') {
      const facts = { hash, height: header.height, fault: validation.fault }
      logger.warn(facts, `block ${verdict}`)
    }
    return { event: { type: 'blockValidated', nowMs: clock.now(), hash, verdict } }
  }

  async build({ fields, justification }: BuildBlock): Promise<MachineInput> {
    const { host, clock } = this.#options
    const parentHash = bytesToHex(fields.parentHash)
    const { view } = fields
    const built = await host.buildBlock({ fields, parentHash, justification })
    const nowMs = clock.now()
    if (!built) return { event: { type: 'blockNotBuilt', nowMs, view } }
    const { header, body } = built
    const block = { hash: bytesToHex(blockHash(header)), body }
    return { event: { type: 'blockBuilt', nowMs, view, header }, block }
  }
}
