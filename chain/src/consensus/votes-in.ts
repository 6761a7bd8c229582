import type { Vote } from '../types/consensus-objects.ts'
import type { ConsensusMessage } from './machine-interface.ts'

/** The single votes that a message carries; those of certificates stand on chain by themselves. */
export function votesIn(message: ConsensusMessage): readonly Vote[] {
  switch (message.type) {
    case 'vote':
      return [message.vote]
    case 'proposal':
      return [message.proposal.leaderVote]
    case 'bundle':
      return message.bundle.votes
    case 'certificate':
      return []
  }
}
