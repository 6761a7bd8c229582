/** One rule of the consensus machine taken away by a change of its text. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** Why no seed can catch it. */
  readonly redundant?: string
}

const CONSENSUS = 'chain/src/consensus'

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'notarize twice in a view',
    file: `${CONSENSUS}/voting.ts`,
    from: 'round.view === state.view && !own.notarize && !own.nullify',
    to: 'round.view === state.view && !own.nullify',
  },
  {
    name: 'notarize after nullify',
    file: `${CONSENSUS}/voting.ts`,
    from: 'round.view === state.view && !own.notarize && !own.nullify',
    to: 'round.view === state.view && !own.notarize',
  },
  {
    name: 'finalize after nullify',
    file: `${CONSENSUS}/voting.ts`,
    from: 'if (!maySign(state, round.view) || own.nullify || own.finalize) return false',
    to: 'if (!maySign(state, round.view) || own.finalize) return false',
  },
  {
    name: 'finalize without own notarize',
    file: `${CONSENSUS}/voting.ts`,
    from: 'if (!own.notarize || !notarized) return false',
    to: 'if (!own.notarize) return notarized !== undefined',
  },
  {
    name: 'nullify after finalize',
    file: `${CONSENSUS}/voting.ts`,
    from: 'return maySign(state, round.view) && !round.own.nullify && !round.own.finalize',
    to: 'return maySign(state, round.view) && !round.own.nullify',
    redundant: 'a finalize vote needs a certificate that has already moved the view on',
  },
  {
    name: 'quorum one too small',
    file: `${CONSENSUS}/quorum.ts`,
    from: 'Math.floor((2 * total) / 3) + 1',
    to: 'Math.floor((2 * total) / 3)',
  },
  {
    name: 'repeated votes counted',
    file: `${CONSENSUS}/round.ts`,
    from: 'if (!cast) return false',
    to: 'if (!cast || cast) return false',
  },
  {
    name: 'skip certificates unchecked',
    file: `${CONSENSUS}/justification.ts`,
    from: 'if (justification.skips.length !== view - parentView - 1) return false',
    to: 'if (justification.skips.length < 0) return false',
  },
  {
    name: 'certificate signatures unchecked',
    file: `${CONSENSUS}/certificate.ts`,
    from: 'return indexes.every((index, position) =>',
    to: 'return indexes.length > 0 || indexes.every((index, position) =>',
  },
  {
    name: 'own votes forgotten by a restart',
    file: `${CONSENSUS}/simplex-machine.ts`,
    from: 'for (const vote of current) rememberOwn(roundAt(state, vote.statement.view), vote)',
    to: '',
  },
  {
    name: 'vote leaves before it is in the log',
    file: `${CONSENSUS}/voting.ts`,
    from: "  emit(state, { type: 'persist', record: { type: 'vote', vote } })\n",
    to: '',
  },
  {
    name: 'no standstill bundle',
    file: `${CONSENSUS}/standstill.ts`,
    from: "emit(state, { type: 'broadcast', message: { type: 'bundle', bundle } })",
    to: 'if (bundle.view < 0) emit(state, state.effects[0] as never)',
  },
  {
    name: 'fetched blocks not taken',
    file: `${CONSENSUS}/proposing.ts`,
    from: 'if (!state.tree.wanted.has(hash) || header.epoch !== setup.epoch) return',
    to: 'if (!state.tree.wanted.has(hash) || header.epoch > 0) return',
  },
  {
    name: "epoch's last block gets a child",
    file: `${CONSENSUS}/proposing.ts`,
    from: 'if (header.height === state.config.setup.lastHeight) {',
    to: 'if (header.height < 0) {',
  },
  {
    name: 'last epoch judged by the set of this one',
    file: `${CONSENSUS}/justification.ts`,
    from: 'isValidCertificate(certificate, setup.previousValidators, crypto)',
    to: 'isValidCertificate(certificate, setup.validators, crypto)',
  },
  {
    name: 'votes below the lease after a lost disk',
    file: `${CONSENSUS}/voting.ts`,
    from: 'self !== undefined && view > signAbove && !state.finished',
    to: 'self !== undefined && signAbove >= 0 && !state.finished',
  },
  {
    name: 'descendants of a committed block dropped',
    file: `${CONSENSUS}/block-tree.ts`,
    from: 'if (parentHash === head.hash) continue',
    to: '',
  },
]
