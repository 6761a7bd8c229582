import type { Logger } from 'pino'
import type { MainChainFollower } from '../follower/follower.ts'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { verifyMemoAnchor } from '../elastos/memo-anchor.ts'
import { setMembers } from '../rules/validator-set.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'

/** Checkpoints back to which a SideChainPow is looked up: it always carries a recent one. */
const EPOCHS_SEARCHED = 4096

type AnchorSource = Pick<MainChainFollower, 'anchors' | 'powAnchors' | 'status'>

/**
 * Tells of main-chain anchors for this chain whose checkpoint is not ours (docs/protocol/sync.md,
 * 2.3): a history that a validator or an arbiter signed and nobody has shown. Memos count only with
 * a validator's signature, since everybody can write one. Each is told of once it is CONFIRMED,
 * again only after a restart. No rule reads this: docs/decisions/0018-durability.md, 8.
 */
export class UnknownAnchors {
  readonly #ledger: LedgerDraft
  readonly #source: AnchorSource
  readonly #logger: Logger
  #told = new Set<string>()

  constructor(ledger: LedgerDraft, source: AnchorSource, logger: Logger) {
    this.#ledger = ledger
    this.#source = source
    this.#logger = logger
  }

  /** At a checkpoint of a node that is at the tip; gives how many are unknown now. */
  report(): number {
    const unknown = new Set<string>()
    for (const { checkpoint, height, index, signer } of this.#sightings()) {
      const place = `${height}/${index}`
      unknown.add(place)
      if (this.#told.has(place)) continue
      this.#logger.error(
        { checkpoint, mainHeight: height, index, signer },
        'ALARM: the main chain has an anchor of a checkpoint that is not ours: somebody signed ' +
          'another history of this chain',
      )
    }
    this.#told = unknown
    return unknown.size
  }

  *#sightings() {
    const least = this.#source.status().tip.height - this.#ledger.params.anchorConfirmedMainBlocks
    for (const { anchor, height, index } of this.#source.anchors()) {
      const { epoch, checkpointHash, validatorIndex } = anchor
      if (height > least + 1 || this.#isOurs(checkpointHash, epoch)) continue
      const member = setMembers(this.#ledger, epoch)?.[validatorIndex]
      if (!member || !verifyMemoAnchor(anchor, this.#ledger.chainId, member.publicKey).ok) continue
      const checkpoint = bytesToHex(checkpointHash)
      yield { checkpoint, height, index, signer: `validator ${member.validator}` }
    }
    for (const { checkpointHash, height, index } of this.#source.powAnchors()) {
      if (height > least + 1 || this.#isKnown(checkpointHash)) continue
      yield { checkpoint: bytesToHex(checkpointHash), height, index, signer: 'an arbiter' }
    }
  }

  /** Of an epoch that is not over here nothing can be said yet. */
  #isOurs(checkpointHash: Uint8Array, epoch: number): boolean {
    const record = this.#ledger.epochs.get(epoch)
    if (!record || epoch >= this.#ledger.globals().epoch) return true
    return bytesEqual(record.checkpointHash, checkpointHash)
  }

  #isKnown(checkpointHash: Uint8Array): boolean {
    const { epochs } = this.#ledger
    for (let e = epochs.count - 1; e >= Math.max(0, epochs.count - EPOCHS_SEARCHED); e--) {
      const record = epochs.get(e)
      if (record && bytesEqual(record.checkpointHash, checkpointHash)) return true
    }
    return false
  }
}
