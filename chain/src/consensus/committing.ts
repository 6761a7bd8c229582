import type { Certificate, Header } from '../types/consensus-objects.ts'
import { advanceHead, isOutOfReach, pathTo, readiness, withoutStatus } from './block-tree.ts'
import { emit, type MachineState } from './machine-state.ts'
import type { FinalBlock, Reproposal } from './machine-interface.ts'
import { acceptCertificate, halt } from './voting.ts'

/**
 * Rule commit (consensus 1.6): a certified block and all its ancestors become final in one step,
 * once each of them is here and was executed.
 */
export function tryCommit(state: MachineState): void {
  const { uncommitted, tree } = state
  if (!uncommitted || state.halted) return
  const { hash, certificate } = uncommitted
  if (hash === tree.head.hash) {
    state.uncommitted = undefined
    return
  }
  const header = tree.blocks.get(hash)?.header
  if (header && isOutOfReach(tree, hash)) return reportBehind(state, header, certificate)
  const verdict = readiness(tree, hash, certificate.statement.view, state.effects)
  if (verdict === 'invalid')
    halt(state, 'a final block is invalid or on another chain', certificate)
  if (verdict === 'pending' || verdict === 'invalid') return
  const path = pathTo(tree, hash)
  const last = path.at(-1)
  if (!last) return
  emit(state, {
    type: 'commit',
    blocks: path.map(withoutStatus),
    certificate,
    reproposals: reproposalLinks(state, last.header, certificate.statement.view),
  })
  state.uncommitted = undefined
  advanceHead(tree, last, state.finalView)
  if (last.header.height === state.config.setup.lastHeight) finishEpoch(state, certificate)
}

/**
 * Block sync went past us: the same as a commit of our own, except that it is already written.
 * What is known about later views stays.
 */
export function onHeadMoved(state: MachineState, head: FinalBlock): void {
  const { certificate, header } = head
  if (header.height <= state.tree.head.header.height || !certificate) return
  acceptCertificate(state, certificate)
  const { uncommitted, tree } = state
  const above = uncommitted && tree.blocks.get(uncommitted.hash)?.header
  if (uncommitted?.hash === head.hash || (above && above.height <= header.height)) {
    state.uncommitted = undefined
  }
  advanceHead(tree, head, certificate.statement.view)
  if (header.height === state.config.setup.lastHeight) finishEpoch(state, certificate)
}

/** Reported once per height; blocks below are forgotten, since they come again with the sync. */
function reportBehind(state: MachineState, header: Header, certificate: Certificate): void {
  const { tree, finalView } = state
  for (const block of tree.blocks.values()) {
    const wanted = block.hash === state.uncommitted?.hash
    if (block.header.view < finalView && !wanted) tree.blocks.delete(block.hash)
  }
  if (header.height <= state.behindHeight) return
  state.behindHeight = header.height
  emit(state, { type: 'behind', height: header.height, certificate })
}

/**
 * The epoch is over. Its finality certificate goes out once by itself, since no later proposal of
 * this epoch will carry it to those that missed votes.
 */
function finishEpoch(state: MachineState, certificate: Certificate): void {
  state.finished = true
  state.duty = undefined
  state.rounds.clear()
  state.tree.wanted.clear()
  emit(state, { type: 'broadcast', message: { type: 'certificate', certificate } })
}

/** The chain of re-proposals from the header's view up to the view that made it final. */
function reproposalLinks(state: MachineState, header: Header, finalView: number): Reproposal[] {
  const links: Reproposal[] = []
  let view = finalView
  while (view > header.view) {
    const justification = state.reproposals.get(view)
    // A node that only saw the certificate has no link; those that voted do.
    const parent = justification?.parent[0]
    if (!justification || !parent) break
    links.push({ view, justification })
    view = parent.statement.view
  }
  return links.reverse()
}
