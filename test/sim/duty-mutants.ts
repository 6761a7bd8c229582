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
  {
    name: 'start certificate of any kind accepted',
    file: `${CONSENSUS}/justification.ts`,
    from: '    kind === VoteKind.finalize &&\n    epoch === setup.epoch - 1 &&',
    to: '    kind >= 0 &&\n    epoch === setup.epoch - 1 &&',
  },
  {
    name: 'start certificate of another block accepted',
    file: `${CONSENSUS}/justification.ts`,
    from: '    bytesToHex(hash) === start.hash &&\n    isValidCertificate(',
    to: '    hash.length > 0 &&\n    isValidCertificate(',
  },
  {
    name: 'finality certificate missing from bundles',
    file: `${CONSENSUS}/standstill.ts`,
    from: 'const certificates: Certificate[] = finalCertificate ? [finalCertificate] : []',
    to: 'const certificates: Certificate[] = finalCertificate && view < 0 ? [finalCertificate] : []',
  },
  {
    name: 'own lower votes missing from bundles',
    file: `${CONSENSUS}/standstill.ts`,
    from: '    votes.push(...own)\n',
    to: '',
  },
  {
    name: 'own votes of the view missing from bundles',
    file: `${CONSENSUS}/standstill.ts`,
    from: 'const votes: Vote[] = current ? ownVotes(current) : []',
    to: 'const votes: Vote[] = current && view < 0 ? ownVotes(current) : []',
  },
  {
    name: 'no answer to a bundle from behind',
    file: `${CONSENSUS}/standstill.ts`,
    from: '  answerWithBundle(state, from, bundle.view)\n',
    to: '',
  },
  {
    name: 'notarized block not in the log',
    file: `${CONSENSUS}/voting.ts`,
    from: '  logBlock(state, hash)\n  castVote(state, round, VoteKind.notarize',
    to: '  castVote(state, round, VoteKind.notarize',
  },
  {
    name: 'own block not in the log',
    file: `${CONSENSUS}/proposing.ts`,
    from: '  logBlock(state, hash)\n  sendProposal(',
    to: '  sendProposal(',
  },
  {
    name: 'blocks in the log forgotten by a restart',
    file: `${CONSENSUS}/simplex-machine.ts`,
    from: '  restoreBlocks(state, records)\n  const view',
    to: '  const view',
  },
  {
    name: 'reasons to propose again not committed',
    file: `${CONSENSUS}/committing.ts`,
    from: '    links.push({ view, justification })\n',
    to: '',
  },
  {
    name: 'proposal not said again after a restart',
    file: `${CONSENSUS}/simplex-machine.ts`,
    from: '  repeatProposal(state)\n  broadcastBundle(state)',
    to: '  broadcastBundle(state)',
  },
  {
    name: 'certificates of a proposal not taken',
    file: `${CONSENSUS}/proposing.ts`,
    from: 'if (certificate.statement.epoch === header.epoch) onCertificate(state, certificate)',
    to: '',
  },
  {
    name: 'end of an epoch not told',
    file: `${CONSENSUS}/committing.ts`,
    from: "  emit(state, { type: 'broadcast', message: { type: 'certificate', certificate } })\n",
    to: '',
  },
  {
    name: 'next epoch’s first block does not end ours',
    file: `${CONSENSUS}/epoch-relay.ts`,
    from: 'return parent?.statement.epoch === epoch ? parent : undefined',
    to: 'return parent?.statement.epoch === epoch && epoch < 0 ? parent : undefined',
  },
  {
    name: 'far epoch not told',
    file: `${CONSENSUS}/epoch-relay.ts`,
    from: "if (epoch > current + 1) return [{ type: 'epochAhead', peer: from, epoch }]",
    to: 'if (epoch > current + 1) return []',
  },
]
