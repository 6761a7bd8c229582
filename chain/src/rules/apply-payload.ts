import { fault, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Payload } from '../types/transactions.ts'
import { applyAnchor } from './anchor.ts'
import type { TransactionContext } from './block-context.ts'
import { applyClaimSlot } from './claim-slot.ts'
import { applyClearWeight } from './clear-weight.ts'
import { applyClose } from './close.ts'
import { applyDeposit } from './deposit.ts'
import { applyEvidence } from './evidence.ts'
import { applyEvict } from './evict.ts'
import { applyFill } from './fill.ts'
import { applyLeave } from './leave.ts'
import { applyMainHeaders } from './main-headers.ts'
import { applyOpenContract } from './open-contract.ts'
import { applyOpenRelay } from './open-relay.ts'
import { applyPegVote } from './peg-vote.ts'
import { applyProve } from './prove.ts'
import { applyLateVotes } from './recent-votes.ts'
import { applyRedeem } from './redeem.ts'
import { applyRedeemRepair } from './redeem-repair.ts'
import { applyRegister } from './register.ts'
import { applyReleaseStake } from './release-stake.ts'
import { applyRotateKeys } from './rotate-keys.ts'
import { applyBond, applyDelegate, applyUnbond } from './stake.ts'
import { applyTopUp } from './top-up.ts'
import { applyTransfer } from './transfer.ts'
import { applyUnregister } from './unregister.ts'
import { applyWithdraw } from './withdraw.ts'

/** Every kind of transaction and its rule. On a fault the draft is to be dropped. */
export function applyPayload(
  draft: LedgerDraft,
  payload: Payload,
  context: TransactionContext,
): Result<undefined> {
  switch (payload.selector) {
    case 0:
      return applyTransfer(draft, payload.value, context)
    case 1:
      return applyRegister(draft, payload.value, context)
    case 2:
      return applyOpenContract(draft, payload.value, context)
    case 3:
      return applyOpenRelay(draft, payload.value, context)
    case 4:
      return applyFill(draft, payload.value, context)
    case 5:
      return applyProve(draft, payload.value, context)
    case 6:
      return applyRedeem(draft, payload.value, context)
    case 7:
      return applyClose(draft, payload.value, context)
    case 8:
      return applyTopUp(draft, payload.value, context)
    case 9:
      return applyLeave(draft, payload.value, context)
    case 10:
      return applyEvict(draft, payload.value, context)
    case 11:
      return applyClearWeight(draft, payload.value, context)
    case 12:
      return applyMainHeaders(draft, payload.value, context)
    case 13:
      return applyAnchor(draft, payload.value, context)
    case 14:
      return applyEvidence(draft, payload.value, context)
    case 15:
      return applyBond(draft, payload.value, context)
    case 16:
      return applyUnbond(draft, payload.value, context)
    case 17:
      return applyDelegate(draft, payload.value, context)
    case 18:
      return applyReleaseStake(draft, payload.value, context)
    case 19:
      return applyRotateKeys(draft, payload.value, context)
    case 20:
      return applyDeposit(draft, payload.value, context)
    case 21:
      return applyWithdraw(draft, payload.value, context)
    case 22:
      return applyPegVote(draft, payload.value, context)
    case 23:
      return applyClaimSlot(draft, payload.value, context)
    case 24:
      return applyRedeemRepair(draft, payload.value, context)
    case 25:
      return applyLateVotes(draft, payload.value)
    case 26:
      return applyUnregister(draft, payload.value, context)
    default:
      return fault('NOT_ACTIVE', 'this kind of transaction is not active yet')
  }
}
