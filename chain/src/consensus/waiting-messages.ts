import type { ConsensusMessage, PeerName } from './machine-interface.ts'

const MESSAGES_MAX = 256
const MESSAGES_PER_PEER_MAX = 64
/** Proposals with longer justifications are not kept waiting: they would be memory for anyone. */
const SKIPS_MAX = 8

/** A message of the next epoch. */
export interface WaitingMessage {
  readonly from: PeerName
  readonly message: ConsensusMessage
}

/** Not verified yet, so bounded: the oldest of that peer gives way, or of the one with the most. */
export function keepWaiting(waiting: WaitingMessage[], { from, message }: WaitingMessage): void {
  if (message.type === 'bundle') return
  if (message.type === 'proposal') {
    if (message.proposal.justification.skips.length > SKIPS_MAX) return
  }
  const ofPeer = waiting.filter((each) => each.from === from).length
  if (ofPeer >= MESSAGES_PER_PEER_MAX) dropOldest(waiting, from)
  else if (waiting.length >= MESSAGES_MAX) dropOldest(waiting, loudestOf(waiting))
  waiting.push({ from, message })
}

function dropOldest(waiting: WaitingMessage[], of: PeerName | undefined): void {
  const at = waiting.findIndex(({ from }) => from === of)
  if (at >= 0) waiting.splice(at, 1)
}

function loudestOf(waiting: readonly WaitingMessage[]): PeerName | undefined {
  const counts = new Map<PeerName, number>()
  let loudest: PeerName | undefined
  for (const { from } of waiting) {
    const count = (counts.get(from) ?? 0) + 1
    counts.set(from, count)
    if (loudest === undefined || count > (counts.get(loudest) ?? 0)) loudest = from
  }
  return loudest
}
