import { assert, compareBytes } from '@ioex/chain/bytes'
import { decodeHeaderWithAuxPow, formatElaAddress, standardProgramHash } from '@ioex/chain/elastos'
import { type BuiltInGenesis, builtInGenesisBlock } from '@ioex/chain/main-chain'

const SELA_PER_ELA = 100_000_000n
/** For memo anchors; several outputs, as one output carries one anchor at a time. */
const VALIDATOR_SELA = 25n * SELA_PER_ELA
const VALIDATOR_OUTPUTS = 4

/**
 * The built-in main chain's own genesis, which follows from ours: ELA for every validator's memo
 * anchors, and our time. So a genesis file alone says which built-in main chain goes with it.
 */
export function builtInMainGenesis(
  mainKeys: readonly Uint8Array[],
  timeMs: number,
): BuiltInGenesis {
  const allocations = mainKeys.toSorted(compareBytes).flatMap((key) => {
    const address = formatElaAddress(standardProgramHash(key))
    return Array.from({ length: VALIDATOR_OUTPUTS }, () => ({ address, sela: VALIDATOR_SELA }))
  })
  return { allocations, timestamp: Math.floor(timeMs / 1000) }
}

/** The header of the built-in chain's genesis with its (empty) AuxPow, raw. */
export function builtInCheckpoint(genesis: BuiltInGenesis): Uint8Array {
  const block = builtInGenesisBlock(genesis)
  const header = decodeHeaderWithAuxPow(block)
  assert(header.ok, 'we built this block')
  return block.slice(0, header.value.length)
}
