import type { MainChainFollower } from '../follower/follower.ts'
import { bytesToHex } from '../bytes/hex.ts'
import type { AnchoredCheckpoint } from '../sync/fork-choice.ts'

type AnchorSource = Pick<
  MainChainFollower,
  'tip' | 'poll' | 'status' | 'release' | 'anchors' | 'powAnchors'
>

/**
 * All anchors that the main chain has at a depth of `confirmations`, by a validator's memo or an
 * arbiter's SideChainPow, from the follower's start to the tip. Reads the chain once, in windows, so that years of it need no more memory than a day.
 */
export async function anchoredCheckpoints(
  follower: AnchorSource,
  confirmations: number,
): Promise<AnchoredCheckpoint[]> {
  const found = new Map<string, AnchoredCheckpoint>()
  for (;;) {
    const before = follower.tip.height
    await follower.poll()
    const { tip } = follower.status()
    for (const { checkpointHash, height, index } of sightingsOf(follower)) {
      if (tip.height - height + 1 < confirmations) continue
      const checkpoint = bytesToHex(checkpointHash)
      found.set(`${height}/${index}`, { checkpoint, mainHeight: height, index })
    }
    // A P2P peer names its blocks by and by: only a poll that brings nothing is the end.
    if (tip.height === before) return [...found.values()]
    follower.release(tip.height)
  }
}

function* sightingsOf(follower: AnchorSource) {
  for (const { anchor, height, index } of follower.anchors()) {
    yield { checkpointHash: anchor.checkpointHash, height, index }
  }
  yield* follower.powAnchors()
}
