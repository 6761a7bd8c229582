import { bytesToHex } from '../bytes/hex.ts'
import type { FinalBlock } from '../consensus/machine-interface.ts'
import type { BlockEnvelope, BlockHost } from './block-host.ts'

const BLOCKS_MAX = 64
/** A vote does not come later than so: a node that imports old blocks need not read them again. */
const AGE_MAX_MS = 10 * 60_000

/** The newest final blocks down from a head, newest first, as far as they can be read. */
export async function recentBlocks(
  host: Pick<BlockHost, 'readBlock'>,
  head: Pick<FinalBlock, 'hash'>,
  nowMs: number,
): Promise<BlockEnvelope[]> {
  const blocks: BlockEnvelope[] = []
  let block = await host.readBlock(head.hash)
  while (block && blocks.length < BLOCKS_MAX && nowMs - block.header.timeMs < AGE_MAX_MS) {
    blocks.push(block)
    block = await host.readBlock(bytesToHex(block.header.parentHash))
  }
  return blocks
}
