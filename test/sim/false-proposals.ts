import { bytesToHex, fromHex, type Hex } from '../../chain/src/bytes/hex.ts'
import { headerOf } from '../../chain/src/consensus/block-tree.ts'
import type {
  ConsensusFields,
  JustifiedBlock,
  Proposal,
} from '../../chain/src/consensus/machine-interface.ts'
import { leaderOf, type MachineState } from '../../chain/src/consensus/machine-state.ts'
import { chooseParent } from '../../chain/src/consensus/parent-choice.ts'
import {
  type Certificate,
  type Header,
  type Justification,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { ZERO_HASH } from '../../chain/src/types/primitives.ts'
import { hashHeader, hashJustification } from './cheap-crypto.ts'
import type { Random } from './random.ts'
import { completeHeader } from './simulated-blocks.ts'

/** How a liar signs and forges in its own name. */
export interface Pen {
  readonly random: Random
  /** Decides about lies that came later, so that histories without them stay as they were. */
  readonly rare: Random
  readonly index: number
  readonly nowMs: number
  sign(kind: VoteKind, view: number, hash: Uint8Array): Vote
  forge(kind: VoteKind, view: number, hash: Uint8Array): Certificate
  /** True certificates of skipped views, of any epoch. */
  readonly skips: readonly Certificate[]
  /** True certificates of blocks, of any epoch. */
  readonly certified: readonly Certificate[]
}

/** What each lie is wrong in, and in nothing else, so that the rule against it stands alone. */
const LEADER_LIES = [
  'none',
  'twice',
  'flood',
  'proposer',
  'height',
  'time',
  'parent certificate',
  'invented parent',
  'skips',
  'stale parent',
  'stale parent',
  'stale parent',
  'justHash',
  'other justification',
  'hash',
  'content',
  'again',
] as const
const LAST_BLOCK_LIES = ['child of the last', 'another last', 'another last'] as const

type Lie =
  | (typeof LEADER_LIES)[number]
  | (typeof LAST_BLOCK_LIES)[number]
  | 'out of turn'
  | 'start certificate'
  | 'uncertified start'

interface Draft {
  readonly fields: { -readonly [field in keyof ConsensusFields]: ConsensusFields[field] }
  justification: Justification
  /** Said instead of the one that the header commits to. */
  said: Justification | undefined
}

const FLOOD = 8
/** More than a node may keep of them. */
const FAR_VIEWS = 64

/** Proposals of a liar for a view, each false in one way. */
export class FalseProposals {
  readonly #machine: MachineState
  readonly #pen: Pen
  /** Blocks that only the liar has; it shows them to who asks. */
  readonly #blocks: Map<Hex, JustifiedBlock>

  constructor(machine: MachineState, pen: Pen, blocks: Map<Hex, JustifiedBlock>) {
    this.#machine = machine
    this.#pen = pen
    this.#blocks = blocks
  }

  /** Of a view that the liar leads, or that another leads. */
  forView(view: number): Proposal[] {
    const { random, rare, index, skips } = this.#pen
    const choice = this.#choice(view)
    if (!choice) return []
    const { epoch, lastHeight } = this.#machine.config.setup
    const isLast = choice.header.height === lastHeight
    if (leaderOf(this.#machine, view) !== index) return isLast ? [] : this.#outOfTurn(view)
    if (choice.view === 0 && this.#uncertified() && rare.chance(0.5)) {
      return this.#lie(view, 'uncertified start')
    }
    const lie: Lie = isLast ? random.pick(LAST_BLOCK_LIES) : random.pick(LEADER_LIES)
    if (lie === 'another last' || lie === 'again') return this.#again(view, lie)
    // An epoch's first block is proposed once or twice, so that this is not left to chance either.
    if (choice.view === 0 && this.#falseStarts().length > 0 && random.chance(0.5)) {
      return this.#lie(view, 'start certificate')
    }
    // A skip of the same view in an older epoch is rare, so that it is not left to chance.
    const isOldSkip = ({ statement }: Certificate) =>
      statement.epoch < epoch && statement.view === choice.view
    const jumps = !isLast && skips.some(isOldSkip) && random.chance(0.5)
    return this.#lie(view, jumps ? 'stale parent' : lie)
  }

  /** Without any reason, for more views far ahead that the liar leads than a node may remember. */
  farAhead(): Proposal[] {
    const machine = this.#machine
    const justification = { parent: [], skips: [] }
    const proposals: Proposal[] = []
    for (let view = machine.view + FAR_VIEWS; proposals.length < FAR_VIEWS; view++) {
      const draft = this.#draft(machine.view)
      if (!draft || view > machine.view + FAR_VIEWS ** 2) break
      if (leaderOf(machine, view) !== this.#pen.index) continue
      const justHash = hashJustification(justification)
      const fields = { ...draft.fields, view, parentView: view - 1, justHash }
      proposals.push(this.#sign({ fields, justification, said: undefined }, view, 'none'))
    }
    return proposals
  }

  /** An honest proposal with a justification that it does not commit to. */
  tampered({ header, justification, leaderVote }: Proposal): Proposal {
    const { random, index } = this.#pen
    const [parent] = justification.parent
    const without = (certificate: Certificate): Certificate => ({
      ...certificate,
      signatures: certificate.signatures.toReversed(),
    })
    const other = random.pick([
      { ...justification, parent: parent ? [without(parent)] : [] },
      { ...justification, parent: [this.#pen.forge(VoteKind.notarize, index + 1, ZERO_HASH)] },
      { ...justification, skips: justification.skips.slice(1) },
    ])
    return { header, justification: other, leaderVote }
  }

  /** Where an honest leader would build, or else on any certified block. */
  #choice(view: number) {
    const machine = this.#machine
    const choice = chooseParent(machine, view)
    const header = choice && headerOf(machine.tree, choice.hash)
    return choice && header ? { ...choice, header } : undefined
  }

  #draft(view: number): Draft | undefined {
    const choice = this.#choice(view)
    if (!choice) return undefined
    const { header, justification } = choice
    const fields = {
      epoch: this.#machine.config.setup.epoch,
      view,
      height: header.height + 1,
      timeMs: Math.max(this.#pen.nowMs, header.timeMs + 1),
      parentHash: fromHex(choice.hash),
      parentView: choice.view,
      justHash: ZERO_HASH,
      proposer: this.#pen.index,
    }
    return { fields, justification, said: undefined }
  }

  #lie(view: number, lie: Lie): Proposal[] {
    const draft = this.#draft(view)
    if (!draft) return []
    const { random } = this.#pen
    this.#spoilFields(draft, lie)
    this.#spoilJustification(draft, lie)
    const commits = lie === 'justHash' ? random.bytes(32) : hashJustification(draft.justification)
    draft.fields.justHash = commits
    const times = lie === 'flood' ? FLOOD : lie === 'twice' ? 2 : 1
    return Array.from({ length: times }, () => this.#sign(draft, view, lie))
  }

  #spoilFields({ fields }: Draft, lie: Lie): void {
    const { random, nowMs } = this.#pen
    const parentMs = fields.timeMs
    if (lie === 'proposer') this.#moveElsewhere(fields, random.pick([-1, 1]))
    if (lie === 'height') fields.height += random.pick([-1, 1, 2, 40])
    if (lie === 'time') {
      fields.timeMs = random.pick([nowMs - 60_000, nowMs + 900, nowMs + 5_000, parentMs - 2_000])
    }
    if (lie === 'invented parent') fields.parentHash = random.bytes(32)
    if (lie === 'uncertified start') this.#standOnUncertified(fields)
  }

  /** On a block that views were skipped over, as if the epoch began there. */
  #standOnUncertified(fields: Draft['fields']): void {
    const block = this.#uncertified()
    if (!block) return
    const { hash, header } = block
    fields.parentHash = fromHex(hash)
    fields.height = header.height + 1
    fields.timeMs = Math.max(fields.timeMs, header.timeMs + 1)
  }

  /** A first block of the epoch, where none of them is certified. */
  #uncertified(): JustifiedBlock | undefined {
    const { tree, config } = this.#machine
    return [...tree.blocks.values()].find(
      ({ parentHash, status }) => parentHash === config.setup.start.hash && status !== 'invalid',
    )
  }

  /** In the name of another proposer, in another epoch, or of a view still to come. */
  #moveElsewhere(fields: Draft['fields'], step: number): void {
    const wrong = this.#pen.rare.pick(['proposer', 'epoch', 'view'] as const)
    if (wrong === 'proposer') fields.proposer = Math.abs(fields.proposer + step)
    if (wrong === 'epoch') fields.epoch += step
    if (wrong !== 'view') return
    fields.view += 1
    fields.proposer = leaderOf(this.#machine, fields.view)
  }

  #spoilJustification(draft: Draft, lie: Lie): void {
    const { random } = this.#pen
    const { fields, justification } = draft
    const { parentView, parentHash } = fields
    const forged = () => this.#pen.forge(VoteKind.notarize, Math.max(1, parentView), parentHash)
    if (lie === 'parent certificate') {
      const padded = justification.parent.map((each) => {
        return { ...each, signatures: [...each.signatures, random.bytes(64)] }
      })
      draft.justification = { ...justification, parent: random.pick([[], [forged()], padded]) }
    }
    if (lie === 'invented parent') draft.justification = { ...justification, parent: [forged()] }
    if (lie === 'skips') draft.justification = this.#withFalseSkips(justification, parentView + 1)
    if (lie === 'stale parent') this.#moveDown(draft)
    if (lie === 'start certificate') {
      draft.justification = { ...justification, parent: [random.pick(this.#falseStarts())] }
    }
    if (lie === 'other justification') {
      draft.said = { ...justification, skips: [...justification.skips, forged()] }
    }
  }

  /** Of the epoch before: its last block notarized, or another one final. */
  #falseStarts(): Certificate[] {
    const { epoch, start } = this.#machine.config.setup
    return this.#pen.certified.filter(({ statement }) => {
      const isLast = bytesToHex(statement.hash) === start.hash
      const isWrong = isLast !== (statement.kind === VoteKind.finalize)
      return statement.epoch === epoch - 1 && isWrong
    })
  }

  #withFalseSkips({ parent, skips }: Justification, from: number): Justification {
    const { random, forge } = this.#pen
    const forged = skips.map((_, i) => forge(VoteKind.nullify, from + i, ZERO_HASH))
    const repeated = skips.map(() => random.pick(skips))
    return { parent, skips: random.pick([forged, repeated, skips.slice(1), [...skips, ...skips]]) }
  }

  /** On a lower certified block, jumping over views that nobody or only some gave up. */
  #moveDown(draft: Draft): void {
    const { rounds, tree, finalCertificate } = this.#machine
    const { view, parentView } = draft.fields
    const lower = [...rounds.values()].flatMap(({ notarized }) => (notarized ? [notarized] : []))
    if (finalCertificate) lower.push(finalCertificate)
    const below = lower.filter(({ statement }) => statement.view < parentView)
    if (below.length === 0) return
    const parent = this.#pen.random.pick(below)
    const skips: Certificate[] = []
    for (let u = parent.statement.view + 1; u < view; u++) {
      const skip = rounds.get(u)?.nullified ?? this.#falseSkip(u)
      if (skip) skips.push(skip)
    }
    draft.fields.parentView = parent.statement.view
    draft.fields.parentHash = parent.statement.hash
    const header = headerOf(tree, bytesToHex(parent.statement.hash))
    if (header) draft.fields.height = header.height + 1
    draft.justification = { parent: [parent], skips }
  }

  /** Instead of a certificate that a view was skipped: none, or a true one of something else. */
  #falseSkip(view: number): Certificate | undefined {
    const { random, skips, forge } = this.#pen
    const { epoch } = this.#machine.config.setup
    const older = skips.filter(({ statement }) => statement.epoch < epoch)
    const ofView = older.findLast(({ statement }) => statement.view === view)
    if (ofView && random.chance(0.7)) return ofView
    const shape = random.pick(['none', 'forged', 'kind', 'view', 'view'] as const)
    if (shape === 'none') return undefined
    if (shape === 'forged') return forge(VoteKind.nullify, view, ZERO_HASH)
    const other = skips.findLast(({ statement }) => statement.epoch === epoch)
    const ofKind = this.#machine.rounds.get(view)?.notarized
    return shape === 'view' ? (other ?? ofKind) : ofKind
  }

  /** For a view that another leads: in the own name, in that of its leader, or signed as it. */
  #outOfTurn(view: number): Proposal[] {
    const draft = this.#draft(view)
    if (!draft) return []
    const { random, index } = this.#pen
    const leader = leaderOf(this.#machine, view)
    draft.fields.proposer = random.pick([index, leader, leader])
    draft.fields.justHash = hashJustification(draft.justification)
    const proposal = this.#sign(draft, view, 'out of turn')
    const validator = random.pick([proposal.leaderVote.validator, leader])
    return [{ ...proposal, leaderVote: { ...proposal.leaderVote, validator } }]
  }

  #sign({ fields, justification, said }: Draft, view: number, lie: Lie): Proposal {
    const { random } = this.#pen
    const txRoot = random.bytes(32)
    txRoot[0] = lie === 'content' ? 0xff : 1
    const header: Header = completeHeader(fields, txRoot)
    const hash = lie === 'hash' ? random.bytes(32) : hashHeader(header)
    const leaderVote = this.#pen.sign(VoteKind.notarize, view, hash)
    this.#keep({ hash: bytesToHex(hash), header, justification })
    return { header, justification: said ?? justification, leaderVote }
  }

  /** A block that is not the last, or a twin of the last with the certificate of the other one. */
  #again(view: number, lie: Lie): Proposal[] {
    const choice = this.#choice(view)
    const real = choice && this.#machine.tree.blocks.get(choice.hash)
    if (!real) return []
    const txRoot = this.#pen.random.bytes(32)
    txRoot[0] = 1
    const header = lie === 'again' ? real.header : { ...real.header, txRoot }
    const hash = hashHeader(header)
    this.#keep({ hash: bytesToHex(hash), header, justification: real.justification })
    const leaderVote = this.#pen.sign(VoteKind.notarize, view, hash)
    return [{ header, justification: choice.justification, leaderVote }]
  }

  #keep(block: JustifiedBlock): void {
    if (this.#blocks.size > 64) this.#blocks.clear()
    this.#blocks.set(block.hash, block)
  }
}
