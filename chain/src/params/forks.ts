import { assert } from '../bytes/assert.ts'
import {
  assertParams,
  FROZEN_PARAMS,
  type NetworkParams,
  type ParamsFork,
} from './network-params.ts'

/** Parameters after each number of forks, by the base that genesis gives. */
const derivations = new WeakMap<NetworkParams, readonly NetworkParams[]>()
const bases = new WeakMap<NetworkParams, NetworkParams>()

/**
 * The parameters of an epoch: the base and every fork up to it. The epoch of a block's header
 * decides; what the last block of an epoch fixes for the next one follows its own epoch's.
 */
export function paramsAt(params: NetworkParams, epoch: number): NetworkParams {
  const base = bases.get(params) ?? params
  const { forks } = base
  if (forks === undefined || forks.length === 0) return base
  const active = forks.findLastIndex((fork) => fork.epoch <= epoch) + 1
  return (derivations.get(base) ?? derive(base))[active] as NetworkParams
}

function derive(base: NetworkParams): readonly NetworkParams[] {
  const derived: NetworkParams[] = [base]
  for (const { protocolVersion, changes } of base.forks ?? []) {
    const next = { ...(derived.at(-1) as NetworkParams), ...changes, protocolVersion }
    bases.set(next, base)
    derived.push(next)
  }
  derivations.set(base, derived)
  return derived
}

/** The parameters of genesis with the forks that this program knows; asserts that they fit. */
export function withForks(params: NetworkParams, forks: readonly ParamsFork[]): NetworkParams {
  assert(!bases.has(params), 'forks belong to the parameters of genesis')
  if (forks.length === 0) return params
  const base = { ...params, forks }
  let before: Pick<ParamsFork, 'epoch' | 'protocolVersion'> = { epoch: 0, ...params }
  for (const fork of forks) {
    assert(fork.epoch > before.epoch, 'forks stand in order, each at an epoch of its own')
    assert(fork.protocolVersion > before.protocolVersion, 'a fork raises the protocol version')
    for (const name of Object.keys(fork.changes)) {
      assert(name in params, `there is no parameter "${name}"`)
      assert(!(FROZEN_PARAMS as readonly string[]).includes(name), `no fork can change "${name}"`)
    }
    before = fork
  }
  for (const each of derive(base)) assertParams(each)
  return base
}
