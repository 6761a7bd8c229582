import type { DisplayHash } from '../elastos/hash-orientation.ts'
import {
  type MainChainClient,
  MainChainRpcError,
  MainChainUnreachableError,
  type UnspentOutput,
} from '../follower/main-chain-client.ts'
import type { MainNode } from '../follower/main-node.ts'

/** What paying on the main chain takes. */
export type MainWallet = Pick<
  MainChainClient,
  'getBlockCount' | 'listUnspent' | 'sendRawTransaction' | 'getRawTransaction'
>

/** Tells what an address owns. */
type AccountTeller = Pick<MainWallet, 'getBlockCount' | 'listUnspent'>

/**
 * Pays through several main nodes. A transaction goes to all of them and counts as sent when one
 * takes it; what is owned, the first that answers tells. After all refused a transaction another
 * is asked what is owned: the one asked before may have named outputs that do not exist. Where no
 * node tells, what this node itself saw arrive counts.
 */
export function sharedMainWallet(nodes: readonly MainNode[], seen?: AccountTeller): MainWallet {
  const clients = nodes.flatMap(({ rpc }) => (rpc ? [rpc] : []))
  const last = seen ? [seen] : []
  let first = 0
  const inTurn = () => [...clients.slice(first), ...clients.slice(0, first), ...last]
  return {
    getBlockCount: () => firstAnswer(inTurn(), (client) => client.getBlockCount()),
    listUnspent: (address): Promise<UnspentOutput[]> =>
      firstAnswer(inTurn(), (client) => client.listUnspent(address)),
    getRawTransaction: (txid) => anyOf(nodes.map(({ sender }) => sender.getRawTransaction(txid))),
    async sendRawTransaction(raw): Promise<DisplayHash> {
      try {
        return await anyOf(nodes.map(({ sender }) => sender.sendRawTransaction(raw)))
      } catch (error) {
        first = clients.length > 0 ? (first + 1) % clients.length : 0
        throw error
      }
    },
  }
}

async function firstAnswer<T>(
  clients: readonly AccountTeller[],
  ask: (client: AccountTeller) => Promise<T>,
): Promise<T> {
  let problem: unknown = new MainChainUnreachableError(
    'no main node over JSON-RPC is named: only these tell what an address owns',
  )
  for (const client of clients) {
    try {
      return await ask(client)
    } catch (error) {
      problem = error
    }
  }
  throw problem
}

/** The first success; where there is none, what a node said rather than that one is away. */
async function anyOf<T>(answers: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(answers)
  } catch (error) {
    const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    throw errors.find((each) => each instanceof MainChainRpcError) ?? errors[0]
  }
}
