import { fault, ok, type Result } from '../bytes/result.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'
import { createMainChainClient, type MainChainClient } from './main-chain-client.ts'
import type { MainSender, NamedSource } from './main-sources.ts'
import type { ViewBase } from './p2p-chain-view.ts'
import { P2pMainNode } from './p2p-main-node.ts'

/** Elastos' own networks, by the names that addresses give them. */
export type MainNetworkName = keyof typeof MainNetMagic

/** Where a main node is reached: JSON-RPC over HTTP, or its P2P protocol. */
export type MainNodeAddress =
  | { readonly kind: 'rpc'; readonly url: string }
  | { readonly kind: 'p2p'; readonly host: string; readonly port: number; readonly magic: number }

/** A main node that blocks come from and transactions go to. */
export interface MainNode extends NamedSource {
  readonly sender: MainSender
  /** Only JSON-RPC tells what an address owns. */
  readonly rpc: MainChainClient | undefined
}

/** P2P ports of Elastos' networks. */
const P2P_PORTS: Readonly<Record<MainNetworkName, number>> = {
  main: 20338,
  test: 21338,
  regression: 22338,
}
const P2P_FORM = new RegExp(
  /^elap2p:\/\/(?<host>\[[0-9a-fA-F:.]+\]|[^:/?#[\]@\s]+)(:(?<port>\d{1,5}))?/.source +
    /(\?network=(?<network>[a-z]+))?$/.source,
)

/**
 * Reads `http://host:port`, `https://…` or `elap2p://host:port?network=main`. Networks: main,
 * test, regression; `network` is what an address without one means, and the port follows from it.
 */
export function parseMainNodeAddress(
  text: string,
  network: MainNetworkName,
): Result<MainNodeAddress> {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return ok({ kind: 'rpc', url: text })
  const parts = P2P_FORM.exec(text)?.groups
  const named = parts?.['network'] ?? network
  if (!parts || !Object.hasOwn(MainNetMagic, named)) return malformed(text)
  const name = named as MainNetworkName
  const port = Number(parts['port'] ?? P2P_PORTS[name])
  if (port < 1 || port > 65_535) return malformed(text)
  const host = (parts['host'] as string).replace(/^\[|\]$/g, '')
  return ok({ kind: 'p2p', host, port, magic: MainNetMagic[name] })
}

function malformed(text: string): Result<never> {
  return fault(
    'MAIN_NODE_ADDRESS',
    `"${text}" is no address of a main node: give http://host:port for its JSON-RPC, or ` +
      'elap2p://host:port for its P2P protocol, with ?network=test or regression where needed',
  )
}

/** Makes the node's client; nothing is sent before it is asked something. */
export function openMainNode(name: string, address: MainNodeAddress, start: ViewBase): MainNode {
  if (address.kind === 'rpc') {
    const rpc = createMainChainClient({ url: address.url })
    return { name, client: rpc, sender: rpc, rpc }
  }
  const { host, port, magic } = address
  const node = new P2pMainNode({ host, port, magic, start })
  return { name, client: node, sender: node, rpc: undefined }
}
