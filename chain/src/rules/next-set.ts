import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { VALIDATORS_MAX } from '../types/consensus-objects.ts'
import type { SetMember, Validator } from '../types/records.ts'
import { validatorAt } from './validator-set.ts'

const WEIGHT_MAX = 0xffff_ffff

/** Weight of so many units at stake: whole units of weight, at most a u32. */
export function stakePower(params: NetworkParams, stake: bigint): number {
  const weight = stake / params.stakeUnit
  return weight > BigInt(WEIGHT_MAX) ? WEIGHT_MAX : Number(weight)
}

/** Weight that a validator's stake asks for; 0 if it is jailed or its own stake is too small. */
function stakedWeight(params: NetworkParams, validator: Readonly<Validator>): number {
  const { jailed, bond, delegated } = validator
  if (jailed || bond < params.validatorBondMin) return 0
  return stakePower(params, bond + delegated)
}

/**
 * The set that follows `previous`, from the stake of this moment, in order of the validators'
 * records. A set changes by at most a third of the weight, so that a light client that skips
 * always finds enough of those it trusts: rules refuse what would let more leave at once
 * (checkLeaving), and here at most half of the weight that stays comes in; more waits. Double
 * signers are out whatever their weight. Nobody left to choose: the set stays.
 */
export function nextSet(draft: LedgerDraft, previous: readonly SetMember[]): SetMember[] {
  const candidates: SetMember[] = []
  for (let index = 0; index < draft.validators.count; index++) {
    const validator = validatorAt(draft, index)
    const weight = stakedWeight(draft.params, validator)
    if (weight > 0) {
      candidates.push({ validator: index, publicKey: validator.consensusKey, weight })
    }
  }
  if (candidates.length === 0) return [...previous]
  const before = new Map(previous.map(({ publicKey, weight }) => [bytesToHex(publicKey), weight]))
  const chosen = chooseMembers(candidates, before)
  return limitGrowth(chosen, before)
}

/**
 * The heaviest VALIDATORS_MAX. A member that heavier newcomers push out goes only while no more
 * than a third of the old weight is gone; then it stays and the lightest newcomer waits.
 */
function chooseMembers(
  candidates: readonly SetMember[],
  before: ReadonlyMap<Hex, number>,
): SetMember[] {
  if (candidates.length <= VALIDATORS_MAX) return [...candidates]
  const ranked = candidates.toSorted((a, b) => b.weight - a.weight || a.validator - b.validator)
  const chosen = ranked.slice(0, VALIDATORS_MAX)
  const oldWeight = (member: SetMember) => before.get(bytesToHex(member.publicKey)) ?? 0
  const total = [...before.values()].reduce((sum, weight) => sum + weight, 0)
  const kept = candidates.reduce((sum, member) => {
    return sum + Math.min(oldWeight(member), member.weight)
  }, 0)
  let gone = total - kept
  for (const displaced of ranked.slice(VALIDATORS_MAX)) {
    const weight = Math.min(oldWeight(displaced), displaced.weight)
    if (weight === 0) continue
    gone += weight
    if (3 * gone <= total) continue
    gone -= weight
    const newcomer = chosen.findLastIndex((member) => oldWeight(member) === 0)
    if (newcomer >= 0) chosen.splice(newcomer, 1, displaced)
  }
  return chosen.toSorted((a, b) => a.validator - b.validator)
}

/** New weight is at most half of the weight that stays: a third of what the set then has. */
function limitGrowth(chosen: readonly SetMember[], before: ReadonlyMap<Hex, number>): SetMember[] {
  const stays = chosen.map(({ publicKey, weight }) =>
    Math.min(weight, before.get(bytesToHex(publicKey)) ?? 0),
  )
  const staying = stays.reduce((sum, weight) => sum + weight, 0)
  const wanted = chosen.reduce((sum, { weight }) => sum + weight, 0) - staying
  const room = Math.floor(staying / 2)
  if (staying === 0 || wanted <= room) return [...chosen]
  return chosen
    .map((member, i) => {
      const stay = stays[i] as number
      const grown = (BigInt(member.weight - stay) * BigInt(room)) / BigInt(wanted)
      return { ...member, weight: stay + Number(grown) }
    })
    .filter(({ weight }) => weight > 0)
}

/**
 * Faults with SET_CHANGE_LIMIT where, after what a transaction did to `draft`, more than a third
 * of the newest fixed set's weight would be leaving at once. Stake that carries weight is never
 * given free, so what may not leave yet has to wait before it asks, not after.
 */
export function checkLeaving(draft: LedgerDraft): Result<undefined> {
  const members = draft.epochs.get(draft.globals().epoch)?.nextValidators ?? []
  let total = 0
  let leaving = 0
  for (const { validator: index, publicKey, weight } of members) {
    const validator = validatorAt(draft, index)
    total += weight
    // A double signer's weight leaves in any case and takes nobody's turn.
    if (validator.jailed) continue
    const same = bytesEqual(validator.consensusKey, publicKey)
    const stays = same ? stakedWeight(draft.params, validator) : 0
    leaving += Math.max(0, weight - stays)
  }
  return 3 * leaving <= total
    ? ok()
    : fault(
        'SET_CHANGE_LIMIT',
        'more than a third of the weight would leave at once: ask again in the next epoch',
        { leaving, total },
      )
}
