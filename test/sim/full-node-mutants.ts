import type { Mutant } from './mutant.ts'

const CONSENSUS = 'chain/src/consensus'
const RULES = 'chain/src/rules'

const LIST: readonly Omit<Mutant, 'fullNode'>[] = [
  {
    name: 'stake out a set too early',
    file: `${RULES}/release-stake.ts`,
    from: 'export const EXIT_EPOCHS = 2',
    to: 'export const EXIT_EPOCHS = 1',
  },
  {
    name: 'stake out behind one anchor too few',
    file: `${RULES}/release-stake.ts`,
    from: 'if (anchors === unbondingAnchors) return',
    to: 'if (anchors >= unbondingAnchors - 1) return',
  },
  {
    name: 'stake out without the waiting time',
    file: `${RULES}/release-stake.ts`,
    from: 'return now >= record.anchorFinalEpoch + unbondingEpochs',
    to: 'return now + unbondingEpochs >= record.anchorFinalEpoch',
  },
  {
    name: 'stake out behind a CONFIRMED anchor',
    file: `${RULES}/anchor-states.ts`,
    from: 'if (confirmations >= params.anchorFinalMainBlocks) return AnchorState.final',
    to: 'if (confirmations >= params.anchorConfirmedMainBlocks) return AnchorState.final',
  },
  {
    name: 'stake out behind an anchor whose block is gone',
    file: `${RULES}/anchor-states.ts`,
    from: 'if (anchorMainHeight > forkHeight) {',
    to: 'if (anchorMainHeight < 0) {',
  },
  {
    name: 'stake never out',
    file: `${RULES}/release-stake.ts`,
    from: 'if (record.anchorState !== AnchorState.final) continue',
    to: 'if (record.anchorState >= 0) continue',
  },
  {
    name: 'an objection outlives a quorum',
    file: `${CONSENSUS}/proposing.ts`,
    from: "if (header.view < state.view) return verdict === 'invalid' ? 'nullify' : 'notarize'",
    to: "if (header.view < state.view) return verdict === 'valid' ? 'notarize' : 'nullify'",
    redundant: 'who objected proposes it again where it leads, and so votes: only later',
  },
  {
    name: 'an epoch begins without its log',
    file: `${CONSENSUS}/epoch-relay.ts`,
    from: 'startMachine(machine, records, nowMs))\n  const { waiting }',
    to: 'startMachine(machine, [], nowMs))\n  const { waiting }',
    firstSeed: 175,
  },
  {
    name: 'the branch that was anchored last wins',
    file: 'chain/src/sync/fork-choice.ts',
    from: 'if (place && (!best || isEarlier(place, best.place)))',
    to: 'if (place && (!best || isEarlier(best.place, place)))',
    about: 'newcomers',
  },
  {
    name: 'a fork that nothing decides is decided',
    file: 'chain/src/sync/fork-choice.ts',
    from: 'return best?.side',
    to: 'return best?.side ?? sides[0]',
    about: 'newcomers',
  },
  {
    name: 'a newcomer follows the longest branch',
    file: 'chain/src/sync/fork-choice.ts',
    from: '    if (epoch === undefined) break\n',
    to: '    if (epoch === undefined || left.length > 1) break\n',
    about: 'newcomers',
  },
  {
    name: 'a newcomer compares nobody',
    file: 'chain/src/node/branch-choice.ts',
    from: 'if (known || epochsSince(genesis, timeMs, this.#clock.now()) <= LEAD_EPOCHS) return known',
    to: 'if (height >= 0) return known',
    about: 'newcomers',
  },
  {
    name: 'blocks beside the chosen branch are imported',
    file: 'chain/src/sync/block-sync.ts',
    from: 'if (!(await this.#leadsThere(peer, range.value))) return false',
    to: 'await this.#leadsThere(peer, range.value)',
    about: 'newcomers',
  },
]

/** Rules that need whole nodes with their ledgers. */
export const FULL_NODE_MUTANTS: readonly Mutant[] = LIST.map((mutant) => ({
  ...mutant,
  fullNode: true,
}))
