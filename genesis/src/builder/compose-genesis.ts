import { addressOf, bytesToHex, compareBytes, fault, ok, type Result } from '@ioex/chain/bytes'
import { buildGenesis, type Genesis, genesisDocument, stakePower } from '@ioex/chain/rules'
import { type Allocation, type GenesisDocument, NodeRole } from '@ioex/chain/types'
import { type PresetName, presets } from '../presets/presets.ts'
import { checkGenesisEntry, type SignedGenesisEntry } from './genesis-entry.ts'

/** What the operators of a new network agree on before they each compute its genesis. */
export interface GenesisPlan {
  readonly preset: PresetName
  readonly timeMs: number
  /** In any order. */
  readonly entries: readonly SignedGenesisEntry[]
  readonly allocations: readonly Allocation[]
  /** Raw main-chain header with its AuxPow. */
  readonly mainCheckpoint: Uint8Array
}

export interface ComposedGenesis {
  readonly document: GenesisDocument
  readonly genesis: Genesis
}

/**
 * Checks every entry and builds the document, sorted by key and address: whoever has the same
 * entries, in whatever order, gets the same bytes and so the same chain id. Faults with
 * GENESIS_TWINS, with what checkGenesisEntry finds, and with what buildGenesis finds.
 */
export function composeGenesis(plan: GenesisPlan): Result<ComposedGenesis> {
  for (const signed of plan.entries) {
    const checked = checkGenesisEntry(signed, plan.preset)
    if (!checked.ok) return checked
  }
  const distinct = checkDistinct(plan)
  if (!distinct.ok) return distinct
  const entries = plan.entries.map(({ entry }) => entry)
  const validators = entries.filter(({ role }) => role === NodeRole.validator)
  const bootstraps = entries.filter(({ role }) => role === NodeRole.bootstrap)
  const document = genesisDocument({
    params: presets[plan.preset],
    timeMs: plan.timeMs,
    allocations: sortedBy(plan.allocations, ({ address }) => address),
    validators: sortedBy(validators, ({ consensusKey }) => consensusKey).map((entry) => ({
      owner: addressOf(entry.owner),
      payout: entry.payout,
      consensusKey: entry.consensusKey,
      mainKey: entry.mainKey,
      power: stakePower(presets[plan.preset], entry.bond),
      bond: entry.bond,
    })),
    nodes: sortedBy(bootstraps, ({ nodeKey }) => nodeKey).map(({ owner, nodeKey, payout }) => ({
      owner: addressOf(owner),
      nodeKey,
      payout,
      roles: NodeRole.bootstrap,
    })),
    mainCheckpoint: plan.mainCheckpoint,
  })
  const genesis = buildGenesis(document)
  return genesis.ok ? ok({ document, genesis: genesis.value }) : genesis
}

/** One operator cannot enter twice, nor one key serve two. */
function checkDistinct({ entries, allocations }: GenesisPlan): Result<undefined> {
  const validators = entries.filter(({ entry }) => entry.role === NodeRole.validator)
  const groups: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ['validator owner', validators.map(({ entry }) => entry.owner)],
    ['consensus key', validators.map(({ entry }) => entry.consensusKey)],
    ['ELA key', validators.map(({ entry }) => entry.mainKey)],
    ['node key', entries.map(({ entry }) => entry.nodeKey)],
    ['allocated address', allocations.map(({ address }) => address)],
  ]
  for (const [name, keys] of groups) {
    const seen = new Set<string>()
    for (const key of keys) {
      const twin = bytesToHex(key)
      if (seen.has(twin)) return fault('GENESIS_TWINS', `the ${name} ${twin} stands there twice`)
      seen.add(twin)
    }
  }
  return ok()
}

function sortedBy<T>(items: readonly T[], key: (item: T) => Uint8Array): T[] {
  return items.toSorted((a, b) => compareBytes(key(a), key(b)))
}
