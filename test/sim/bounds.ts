import type { EpochRelay } from '../../chain/src/consensus/epoch-relay.ts'
import type { MachineState } from '../../chain/src/consensus/machine-state.ts'
import { Violation } from './violation.ts'

/** Votes count this far ahead (consensus 1.3). */
const VIEWS_AHEAD = 32
/** What is only seen by going through it is looked at once in so many steps. */
const LOOK_EVERY = 32

const WAITING_MAX = 256
const WAITING_PER_PEER_MAX = 64
const LAST_WORDS_MAX = 9
const PEERS_MAX = 1024
const FINAL_LINKS_MAX = 256
const PAST_VIEWS_MAX = 256
/** Certificates of a final view: two for a block, one for a skip. */
const PAST_CERTIFICATES_MAX = 3
/** Two proposals of its leader, and one more that a quorum certified. */
const BLOCKS_PER_VIEW_MAX = 3
/** False heights of views that are still open. */
const BLOCKS_PASSED_MAX = 2

/**
 * I13: whatever anybody sends, a node's memory grows only with the views that are not final.
 * @param mayFork another final chain may stand beside the node's own, with its blocks of open views
 */
export function checkSizes(relay: EpochRelay, steps: number, mayFork: boolean): void {
  const { machine, waiting, lastWords, past, pastVotes, answeredAtMs } = relay
  const { rounds, tree, view, finalView, finalLinks } = machine
  const open = Math.max(0, view - finalView) + VIEWS_AHEAD
  expectAtMost('rounds', rounds.size, open)
  expectAtMost('blocks wanted', tree.wanted.size, open)
  expectAtMost('messages that wait for the next epoch', waiting.length, WAITING_MAX)
  expectAtMost('last words', lastWords.size, LAST_WORDS_MAX)
  expectAtMost('epochs that are over', past.size, LAST_WORDS_MAX)
  expectAtMost('peers answered', answeredAtMs.size, PEERS_MAX)
  expectAtMost('final links', finalLinks.length, FINAL_LINKS_MAX)
  expectAtMost('final views remembered', pastVotes.length, PAST_VIEWS_MAX)
  if (steps % LOOK_EVERY !== 0) return
  checkInside(relay)
  checkTree(machine, mayFork ? open : BLOCKS_PASSED_MAX)
}

function checkInside({ machine, waiting, pastVotes }: EpochRelay): void {
  for (const { ballots, certificates } of pastVotes.slice(-LOOK_EVERY)) {
    const votes = new Map<number, number>()
    for (const validator of ballots.flatMap(({ signatures }) => [...signatures.keys()])) {
      votes.set(validator, (votes.get(validator) ?? 0) + 1)
    }
    expectAtMost('votes of a validator in a final view', most(votes), 2)
    expectAtMost('certificates of a final view', certificates.length, PAST_CERTIFICATES_MAX)
  }
  const ofPeer = new Map<string, number>()
  for (const { from } of waiting) ofPeer.set(from, (ofPeer.get(from) ?? 0) + 1)
  expectAtMost('waiting messages of a peer', most(ofPeer), WAITING_PER_PEER_MAX)
  for (const { proposals, cast, notarize, finalize } of machine.rounds.values()) {
    const members = machine.config.setup.validators.length
    expectAtMost('proposals of a view', proposals.length, 2)
    expectAtMost('voters of a view', cast.size, members)
    expectAtMost('tallies of a view', notarize.length + finalize.length, 4 * members)
  }
}

function checkTree({ tree }: MachineState, passedMax: number): void {
  const ofView = new Map<number, number>()
  let passed = 0
  for (const { header } of tree.blocks.values()) {
    if (header.height <= tree.head.header.height) passed += 1
    ofView.set(header.view, (ofView.get(header.view) ?? 0) + 1)
  }
  expectAtMost('blocks of a view', most(ofView), BLOCKS_PER_VIEW_MAX)
  expectAtMost('blocks at heights that are final', passed, passedMax)
}

function most(counts: ReadonlyMap<unknown, number>): number {
  return Math.max(0, ...counts.values())
}

function expectAtMost(what: string, size: number, bound: number): void {
  if (size > bound) throw new Violation(`I13 ${what}: ${size} where ${bound} are the most`)
}
