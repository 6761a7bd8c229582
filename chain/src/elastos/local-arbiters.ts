import { sha256 } from '../bytes/hash.ts'
import { fromHex, utf8ToBytes } from '../bytes/hex.ts'

/** Compressed P-256 keys, written out: every process loads the presets that name them. */
export const LOCAL_ARBITER_KEYS_HEX: readonly string[] = [
  '032a80e302c4b8582634f2859327f7503a8cd3d2a6c31e4e3583357c84fdd95651',
  '03fed13fd749d4912d285299b26333b2a464026f652f1f495602381b42c348d05d',
  '03390a31166dd05ae3a242b6f7a0ad0dbdb8ffc9ed4a84d77fb018ce667e1b1bd3',
  '02fd30eb975bb12cdfb5dcccccf9cc431ccb14c3078d6d1e34e099c0237982a3f6',
  '03439e3f186ad55edf35a506acc2c7309bac0989c9434767f15d18d52d75d5e6ad',
]

export const LOCAL_ARBITER_KEYS: readonly Uint8Array[] = LOCAL_ARBITER_KEYS_HEX.map(fromHex)

/** Arbiters of the built-in main chain; the real one has twelve. */
const LOCAL_ARBITERS = LOCAL_ARBITER_KEYS_HEX.length

/**
 * P-256 secrets of the built-in main chain's arbiters. Everybody knows them: they guard nothing
 * but the play money of networks on one machine.
 */
export const LOCAL_ARBITER_SECRETS: readonly Uint8Array[] = Array.from(
  { length: LOCAL_ARBITERS },
  (_item, index) => sha256(utf8ToBytes(`ioex local arbiter ${index}`)),
)
