import type { Logger } from 'pino'
import type { KeySuccession } from '@ioex/chain/driver'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { hasNextKey, nextKey, nextKeyPath, swapKey } from './key-swap.ts'

/** A running validator finds the key that follows its own where `validator rotate-key` put it. */
export function consensusSuccession(
  data: string,
  passphrase: PassphraseSource,
  logger: Logger,
): KeySuccession {
  return {
    async next() {
      if (!(await hasNextKey(data, 'consensus'))) return undefined
      try {
        return await nextKey(data, 'consensus', passphrase)
      } catch (error) {
        const path = nextKeyPath(data, 'consensus')
        logger.error(
          { path, reason: String(error) },
          'ALARM: the next consensus key cannot be read',
        )
        return undefined
      }
    },
    async taken() {
      await swapKey(data, 'consensus')
      logger.info('the next consensus key votes from now on')
    },
  }
}
