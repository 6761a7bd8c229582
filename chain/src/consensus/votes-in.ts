import type { Certificate, Vote } from '../types/consensus-objects.ts'
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

/** The certificates that a message carries; unverified. */
export function certificatesIn(message: ConsensusMessage): readonly Certificate[] {
  switch (message.type) {
    case 'vote':
      return []
    case 'proposal': {
      const { parent, skips } = message.proposal.justification
      return [...parent, ...skips]
    }
    case 'bundle':
      return message.bundle.certificates
    case 'certificate':
      return [message.certificate]
  }
}
