import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { HaltReason } from '@ioex/chain/driver'
import type { FullNode } from '@ioex/chain/node'
import { checkpointHeight } from '@ioex/chain/params'

/** Blocks' worth of time for which a halted node still tells others how the epoch ended. */
const HALT_SKIPS = 4

/** Ends the process, but for a fork: what shows it has left, and the rest is stopped in order. */
export function sayHalt(name: string, { code, message }: HaltReason, logger: Logger): string {
  const reason = `${code}: ${message}`
  logger.fatal({ reason }, 'consensus halted')
  console.error(`${name} stops: ${reason}`)
  if (code !== 'FORK_PROOF') process.exit(1)
  return reason
}

/** Resolves some time after the last block of the epoch is final. */
export async function untilHalt(node: FullNode, epoch: number, logger: Logger): Promise<string> {
  const { manager } = node
  const last = checkpointHeight(manager.params, epoch)
  await new Promise<void>((resolve) => {
    const check = (height: number) => {
      if (height >= last) resolve()
    }
    manager.onFinal(({ header }) => check(header.height))
    check(manager.final.header.height)
  })
  logger.info({ epoch, height: last }, 'halt epoch reached: no vote after it')
  await setTimeout(HALT_SKIPS * manager.ledger.params.skipTimeoutMs)
  return `block ${last}, the last of epoch ${epoch}, is final: halted as asked (--halt-epoch)`
}
