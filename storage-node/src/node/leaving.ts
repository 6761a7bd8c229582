import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NONE, PayloadKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from './chain-client.ts'
import type { NodeAccount } from './node-account.ts'
import { refusalCode } from './transactions.ts'

/** Refusals that say that a rail is ending by itself. */
const ENDING = new Set(['RAIL_CLOSING', 'RAIL_UNKNOWN'])

/** What giving notice takes. */
export interface LeavingOptions {
  readonly dataDir: string
  readonly chain: ChainClient
  readonly account: NodeAccount
  readonly logger: Logger
}

/**
 * A node that goes in order (PROTOCOL 6.6): it gives notice for every slot, takes no new ones,
 * and goes on proving and serving until the notice is over, for which it is paid. Whoever repairs
 * can hand its slots over meanwhile. Noted in its folder, so that a restart changes nothing.
 */
export class Leaving {
  readonly #options: LeavingOptions
  #leaving: boolean

  private constructor(options: LeavingOptions, leaving: boolean) {
    this.#options = options
    this.#leaving = leaving
  }

  static async open(options: LeavingOptions): Promise<Leaving> {
    const noted = await access(pathOf(options)).then(
      () => true,
      () => false,
    )
    return new Leaving(options, noted)
  }

  get isLeaving(): boolean {
    return this.#leaving
  }

  /** Gives notice for all slots that have none yet; gives the last epoch, exclusive, of each. */
  async giveNotice(): Promise<{ readonly rail: number; readonly end: number }[]> {
    const { chain, account, logger } = this.#options
    await writeFile(pathOf(this.#options), 'leaving\n', { flush: true })
    this.#leaving = true
    const node = await chain.node(account.address)
    const given: { rail: number; end: number }[] = []
    for (const { index, record } of node ? await chain.railsOfNode(node.index) : []) {
      if (record.contract === NONE || record.left || record.lostEpoch !== NONE) continue
      const value = { rail: index, lost: false, unpaid: false }
      try {
        const { final } = await account.send(PayloadKind.leave, () =>
          Promise.resolve({ selector: PayloadKind.leave, value }),
        )
        await final
        given.push({ rail: index, end: (await chain.rail(index))?.end ?? record.end })
      } catch (error) {
        if (!ENDING.has(refusalCode(error) ?? '')) throw error
      }
    }
    logger.info({ rails: given.length }, 'notice given')
    return given
  }
}

function pathOf({ dataDir }: LeavingOptions): string {
  return join(dataDir, 'leaving')
}
