import type { LedgerDraft } from '@ioex/chain/state'
import type { Contract, Epoch, Globals, Node, Rail } from '@ioex/chain/types'
import type { ChainClient } from './chain-client.ts'

/**
 * The few records that a node fetched, in the shape that the rules read them: so a thin node
 * reckons its challenges and pay with the very code that will judge it. Rules called on it read
 * parameters and the records that were fetched only; reading anything else is a bug and fails at
 * once.
 */
export function ledgerView(
  chain: ChainClient,
  records: {
    readonly epochs?: ReadonlyMap<number, Epoch>
    readonly contracts?: ReadonlyMap<number, Contract>
    readonly rails?: ReadonlyMap<number, Rail>
    readonly nodes?: ReadonlyMap<number, Node>
    readonly globals?: Readonly<Globals>
  },
): LedgerDraft {
  const view = {
    params: chain.params,
    chainId: chain.chainId,
    epochs: tableOf(records.epochs ?? new Map()),
    contracts: tableOf(records.contracts ?? new Map()),
    rails: tableOf(records.rails ?? new Map()),
    nodes: tableOf(records.nodes ?? new Map()),
    ...(records.globals && { globals: () => records.globals }),
  }
  return view as unknown as LedgerDraft
}

function tableOf<T>(records: ReadonlyMap<number, T>) {
  return { get: (index: number) => records.get(index) }
}
