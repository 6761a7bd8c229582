import type { Certificate, Header } from '../types/consensus-objects.ts'
import type { Hex } from '../bytes/hex.ts'
import {
  advanceHead,
  isOutOfReach,
  type KnownBlock,
  pathTo,
  readiness,
  withoutStatus,
} from './block-tree.ts'
import { closeRounds, emit, type MachineState } from './machine-state.ts'
import type { FinalBlock, Reproposal } from './machine-interface.ts'
import { acceptCertificate, halt, haltOnFork } from './voting.ts'

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
  if (verdict === 'invalid') haltOnFinality(state, hash, certificate)
  if (verdict === 'pending' || verdict === 'invalid') return
  const path = pathTo(tree, hash)
  const last = path.at(-1)
  if (!last) return
  const reproposals = reproposalLinks(state, last.header, certificate.statement.view)
  emit(state, { type: 'commit', blocks: path.map(withoutStatus), certificate, reproposals })
  state.uncommitted = undefined
  rememberLinks(state, path, certificate)
  advanceHead(tree, last, state.finalView)
  if (last.header.height === state.config.setup.lastHeight) finishEpoch(state, certificate)
}

/** Views of the committed chain whose justifications are kept to prove a fork with. */
const FINAL_LINKS_MAX = 256

function rememberLinks(
  state: MachineState,
  path: readonly KnownBlock[],
  certificate: Certificate,
): void {
  const { finalLinks } = state
  state.committed = certificate
  for (const { hash, header, justification } of path) {
    finalLinks.push({ view: header.view, hash, justification })
  }
  const forgotten = finalLinks.splice(0, Math.max(0, finalLinks.length - FINAL_LINKS_MAX))
  state.linksAbove = forgotten.at(-1)?.view ?? state.linksAbove
}

/**
 * A certified block cannot be ours: it stands on another chain than the committed one, or a
 * quorum signed a block that breaks the rules, which contradicts no other vote.
 */
function haltOnFinality(state: MachineState, hash: Hex, certificate: Certificate): void {
  const links = linksBelow(state, hash)
  const lowest = links.at(-1)
  const { committed, tree } = state
  const isBeside = lowest !== undefined && lowest.height <= tree.head.header.height
  if (isBeside && committed) haltOnFork(state, certificate, committed, links)
  else halt(state, 'a final block is invalid', certificate)
}

/** What is known of the chain below a block, newest first. */
function linksBelow(state: MachineState, hash: Hex) {
  const { tree, reproposals } = state
  const links = [...reproposals].map(([view, justification]) => {
    return { view, hash, justification, height: tree.blocks.get(hash)?.header.height ?? 0 }
  })
  for (let block = tree.blocks.get(hash); block; block = tree.blocks.get(block.parentHash)) {
    const { header, justification } = block
    links.push({ view: header.view, hash: block.hash, justification, height: header.height })
  }
  return links
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
  state.committed = certificate
  state.finalLinks.length = 0
  state.linksAbove = certificate.statement.view
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
  closeRounds(state, Number.MAX_SAFE_INTEGER)
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
