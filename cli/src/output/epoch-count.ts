import { parseDuration } from './duration.ts'
import { usageError } from './failure.ts'

const EPOCHS_MAX = 0xffff_ffff

/** Time on the chain as a person gives it: in epochs, or as a duration. */
export type EpochCount = { readonly epochs: number } | { readonly ms: number }

/** How long the epochs of a network are. */
export interface EpochLength {
  readonly epochBlocks: number
  readonly blockIntervalMs: number
}

/** "720" for so many epochs, "30d" or "12h" for a duration. Throws CommandError USAGE. */
export function readEpochCount(text: string): EpochCount {
  if (/^[0-9]{1,10}$/.test(text)) return { epochs: Number(text) }
  const duration = parseDuration(text)
  if (duration.ok && duration.value > 0) return { ms: duration.value }
  throw usageError(`"${text}": give whole epochs such as 720, or a duration such as 30d or 12h`)
}

/**
 * Epochs that last at least so long: ceil(ms / (epochBlocks x blockIntervalMs)). Blocks may come
 * later than planned, never sooner, so that the time is not cut short. Throws CommandError USAGE.
 */
export function epochsOf(count: EpochCount, { epochBlocks, blockIntervalMs }: EpochLength): number {
  const epochs =
    'epochs' in count ? count.epochs : Math.ceil(count.ms / (epochBlocks * blockIntervalMs))
  if (epochs <= EPOCHS_MAX) return epochs
  throw usageError(`${epochs} epochs are too many: at most ${EPOCHS_MAX}`)
}
