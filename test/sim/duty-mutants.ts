import type { Mutant } from './mutant.ts'

const CONSENSUS = 'chain/src/consensus'

/** What a node owes to others: to stop at a fork, to accuse, to answer, to keep. */
export const DUTY_MUTANTS: readonly Mutant[] = [
  {
    name: 'no halt at two final chains',
    file: `${CONSENSUS}/voting.ts`,
    from: "  halt(state, 'two chains have finality certificates', certificate, { ours, guilty })\n",
    to: '  if (guilty.length < 0) halt(state, "", certificate)\n',
    faulty: true,
  },
  {
    name: 'no fork noticed below the final view',
    file: `${CONSENSUS}/voting.ts`,
    from: 'if (isPast && (isSettled(state) || (!held && !isForeignFinality(state, statement)))) return true',
    to: 'if (isPast && (isSettled(state) || !held)) return true',
    faulty: true,
  },
  {
    name: 'no fork noticed in past epochs',
    file: `${CONSENSUS}/epoch-relay.ts`,
    from: 'if (!claimsFork(known, claim)) continue',
    to: 'if (epoch > 0 || !claimsFork(known, claim)) continue',
    faulty: true,
  },
  {
    name: 'a final block on another end of the epoch before',
    file: `${CONSENSUS}/epoch-relay.ts`,
    from: 'const halt = forkInPast(relay, FETCHED, event.justification.parent, event.nowMs)',
    to: 'const halt = forkInPast(relay, FETCHED, [], event.nowMs)',
    faulty: true,
    firstSeed: 400,
  },
  {
    name: 'a block on another end waits for its parent',
    file: `${CONSENSUS}/block-tree.ts`,
    from: 'if (isOnOtherStart(tree.setup, block)) return spoil([...path, block])',
    to: '',
    faulty: true,
    redundant:
      'shows only where the node forgot how its epoch ended; held by epoch-boundary.test.ts',
  },
  {
    name: 'a fork names nobody',
    file: `${CONSENSUS}/voting.ts`,
    from: 'const guilty = pairs.map(({ first }) => first.validator)\n  halt',
    to: 'const guilty = pairs.slice(0, 1).map(({ first }) => first.validator)\n  halt',
    faulty: true,
  },
  {
    name: 'a fork of a past epoch names nobody',
    file: `${CONSENSUS}/past-epoch.ts`,
    from: 'return guiltyVotes(lower, other)',
    to: 'return guiltyVotes(lower, other).slice(0, 1)',
    faulty: true,
  },
  {
    name: 'final on another chain and still here',
    file: `${CONSENSUS}/committing.ts`,
    from: "if (verdict === 'invalid') haltOnFinality(state, hash, certificate)\n",
    to: '',
    faulty: true,
  },
  {
    name: 'votes inside certificates are no evidence',
    file: `${CONSENSUS}/voting.ts`,
    from: '    countVote(state, vote)\n  }\n  return true',
    to: '  }\n  return true',
  },
  {
    name: 'no alarm at another signer in a certificate',
    file: `${CONSENSUS}/voting.ts`,
    from: 'if (vote.validator === state.config.self) noticeDoppelganger(state, vote)',
    to: '',
  },
]
