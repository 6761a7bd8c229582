import { isIP } from 'node:net'
import { parseHex } from '@ioex/chain/bytes'
import { type NodeConfig, PAID_LINKS_MAX, TRUSTED_CHECKPOINT } from '../nodes/node-config.ts'
import { parseAmount } from '../output/amount.ts'
import { parseByteSize } from '../output/byte-size.ts'
import { CommandError, EXIT_USAGE } from '../output/failure.ts'
import { dashed, refuseUnusedFlags } from './flag-roles.ts'
import { NODE_ROLES, type NodeFlags, type NodeRoleName, variableOf } from './node-flags.ts'
import { offerTermsOf } from './offer-terms.ts'

const LOOPBACK = '127.0.0.1'

/** Ports by the digit scheme of Elastos: the network gives the thousands, the service the rest. */
const NETWORK_PORTS: Readonly<Record<string, number>> = {
  main: 20_000,
  test: 21_000,
  local: 22_000,
  ci: 22_000,
}
export const ServicePort = {
  rpc: 666,
  metrics: 667,
  p2p: 668,
  mainChain: 336,
  mainChainP2p: 338,
} as const

export function defaultPort(network: string, service: keyof typeof ServicePort): number {
  return (NETWORK_PORTS[network] ?? 22_000) + ServicePort[service]
}

/** Of a node that does not say: prices of the relay and of storage, in IOEX. */
const DEFAULTS = {
  capacity: '100GiB',
  price: '1',
  unitPrice: '0.1',
  relayPrice: '0.5',
  reservationPrice: '0',
  linkPriceMax: '0.01',
} as const

/** A wrong or missing setting of a node: the code names it, the message says what to do. */
function wrong(code: string, message: string): CommandError {
  return new CommandError(code, message, EXIT_USAGE)
}

function missing(name: keyof NodeFlags, what: string): CommandError {
  const code = `${variableOf(name).slice('IOEX_'.length)}_MISSING`
  const flag = `--${dashed(name)}`
  return wrong(code, `${what}: give ${flag}, ${variableOf(name)} or "${name}" in the file`)
}

/**
 * The processes' configs that flags describe, one per role, on the network of the genesis file.
 * Everything listens on loopback unless a flag names another address.
 */
export function planNode(flags: NodeFlags, network: string): NodeConfig[] {
  const roles = rolesOf(flags)
  refuseUnusedFlags(flags, roles)
  const ownRpc = roles.includes('validator') ? [rpcUrlOf(flags, network)] : []
  return roles.map((role, position) => {
    const common = {
      name: flags.name ?? role,
      role,
      genesis: flags.genesis ?? fail(missing('genesis', 'no genesis file is named')),
      ...(flags.forks !== undefined && { forks: flags.forks }),
      data: flags.data ?? fail(missing('data', 'no data folder is named')),
      listen: listenOf(flags, role, defaultPort(network, 'p2p') + 10 * position, position),
      // Addresses are one role's: further roles in the process tell where they listen.
      announce: position === 0 ? announceOf(flags, role) : [],
      // A validator's peers are validators; a further role in its process wants bootstrap nodes.
      peers: ((position === 0 ? flags.peers : flags.bootstraps) ?? []).map(peerAddress),
      logLevel: flags.logLevel ?? 'info',
      // One page for the whole process.
      ...(position === 0 && { metrics: metricsOf(flags, network) }),
    } satisfies Partial<NodeConfig>
    return { ...common, ...partOfRole(role, flags, network, ownRpc) }
  })
}

function rolesOf({ roles }: NodeFlags): NodeRoleName[] {
  if (!roles || roles.length === 0) throw missing('roles', 'no role is named')
  const unknown = roles.find((role) => !(NODE_ROLES as readonly string[]).includes(role))
  if (unknown !== undefined) {
    throw wrong('ROLES_UNKNOWN', `"${unknown}" is no role: ${NODE_ROLES.join(', ')}`)
  }
  const chosen = NODE_ROLES.filter((role) => roles.includes(role))
  if (chosen.includes('bootstrap') && chosen.includes('peer')) {
    throw wrong(
      'ROLES_CONFLICT',
      'a bootstrap node and a peer need a node key each: run them with two data folders',
    )
  }
  return chosen
}

type RolePart = Partial<NodeConfig>

function partOfRole(
  role: NodeRoleName,
  flags: NodeFlags,
  network: string,
  ownRpc: readonly string[],
): RolePart {
  switch (role) {
    case 'validator':
      return {
        rpc: rpcOf(flags, network),
        mainChainUrl: mainNodeOf('mainChain', flags.mainChain ?? defaultMainChain(network)),
        ...(flags.mainChainOthers && {
          mainChainOtherUrls: flags.mainChainOthers.map((url) =>
            mainNodeOf('mainChainOthers', url),
          ),
        }),
        ...(flags.mainArbiters !== undefined && { mainArbiters: flags.mainArbiters }),
        newValidator: flags.newValidator ?? false,
        ...(flags.haltEpoch !== undefined && { haltEpoch: flags.haltEpoch }),
        ...(flags.sync && { sync: flags.sync }),
        ...trustOf(flags),
        ...(flags.openings && { openings: flags.openings }),
      }
    case 'bootstrap':
      return {
        rpcUrls: fullNodesOf(flags, ownRpc),
        asksOwnNode: ownRpc.length > 0,
        relay: {
          unitPrice: priceOf('relayPrice', flags),
          reservationPrice: priceOf('reservationPrice', flags),
        },
      }
    case 'peer':
      return {
        rpcUrls: fullNodesOf(flags, ownRpc),
        asksOwnNode: ownRpc.length > 0,
        storage: {
          capacityBytes: capacityOf(flags),
          price: priceOf('price', flags),
          unitPrice: priceOf('unitPrice', flags),
          ...offerTermsOf(flags),
          friends: (flags.friends ?? []).map(friendOf),
          ...(flags.paidLinks && {
            paidLinks: linksOf(flags.paidLinks),
            linkPriceMax: priceOf('linkPriceMax', flags),
          }),
          ...(flags.repair && { repair: true }),
          ...(flags.leave && { leave: true }),
        },
      }
  }
}

function trustOf({ trustedCheckpoint }: NodeFlags): RolePart {
  if (trustedCheckpoint === undefined) return {}
  const text = trustedCheckpoint.toLowerCase()
  if (TRUSTED_CHECKPOINT.test(text)) return { trustedCheckpoint: text }
  throw wrong(
    'TRUSTED_CHECKPOINT_INVALID',
    `"${trustedCheckpoint}" is no checkpoint: give EPOCH:HASH with 64 hex digits, or any`,
  )
}

function defaultMainChain(network: string): string {
  if (network === 'local' || network === 'ci') {
    return `http://${LOOPBACK}:${defaultPort(network, 'mainChain')}`
  }
  throw missing('mainChain', 'a validator follows a main-chain node')
}

function rpcOf(flags: NodeFlags, network: string): NonNullable<NodeConfig['rpc']> {
  const host = flags.rpcHost ?? LOOPBACK
  const isPublic = flags.rpcPublic ?? false
  if (!isLoopback(host) && !isPublic) {
    throw wrong(
      'RPC_EXPOSED',
      `JSON-RPC would be open to other machines at ${host}: add --rpc-public if that is meant`,
    )
  }
  const allowedHosts = flags.rpcAllowHost ?? []
  const allowedOrigins = (flags.rpcAllowOrigin ?? []).map(originOf)
  const port = portOf('rpcPort', flags.rpcPort ?? defaultPort(network, 'rpc'))
  return { host, port, isPublic, allowedHosts: [...allowedHosts], allowedOrigins }
}

/** As a browser writes it: scheme and host, without a path. */
function originOf(text: string): string {
  if (text === '*') return text
  const origin = URL.canParse(text) ? new URL(text).origin : 'null'
  if (origin !== 'null') return origin
  throw wrong('RPC_ALLOW_ORIGIN_INVALID', `"${text}" is no origin: give https://page.example or *`)
}

function rpcUrlOf(flags: NodeFlags, network: string): string {
  const { host, port } = rpcOf(flags, network)
  // A node of several roles asks itself: on the loopback side of a listener on all addresses.
  const name = host === '0.0.0.0' || host === '::' ? LOOPBACK : host
  return `http://${isIP(name) === 6 ? `[${name}]` : name}:${port}`
}

/** One's own node needs no second witness; strangers do, so that none can lie alone. */
function fullNodesOf({ fullNodes = [] }: NodeFlags, own: readonly string[]): string[] {
  const urls = [...own, ...fullNodes.map((url) => urlOf('fullNodes', url))]
  if (own.length === 0 && new Set(urls).size < 2) {
    throw missing('fullNodes', 'at least two full nodes are needed, so that none can lie alone')
  }
  return urls
}

function listenOf(
  flags: NodeFlags,
  role: NodeRoleName,
  port: number,
  position: number,
): NodeConfig['listen'] {
  const own = role === 'bootstrap' ? flags.bootstrapListen : flags.peerListen
  const listen = (position === 0 ? flags.listen : own) ?? `${LOOPBACK}:${port}`
  if (listen === 'none') {
    if (role === 'peer') return null
    throw wrong('LISTEN_INVALID', `a ${role} must be reachable: give --listen HOST:PORT`)
  }
  return endpoint('listen', listen)
}

function metricsOf(flags: NodeFlags, network: string): NodeConfig['metrics'] {
  const text = flags.metrics ?? String(defaultPort(network, 'metrics'))
  return text === 'none' ? undefined : endpoint('metrics', text)
}

/** "host:port" or a port of loopback. */
function endpoint(name: keyof NodeFlags, text: string): { host: string; port: number } {
  const match = /^(?:(?<host>\[[0-9a-fA-F:.]+\]|[^:[\]]+):)?(?<port>\d{1,5})$/.exec(text)
  const host = match?.groups?.host?.replace(/^\[|\]$/g, '') ?? LOOPBACK
  if (!match || (isIP(host) === 0 && host !== 'localhost')) {
    throw wrong(
      `${variableOf(name).slice('IOEX_'.length)}_INVALID`,
      `--${name} "${text}": give an IP address and a port, e.g. 0.0.0.0:20668`,
    )
  }
  return { host: host === 'localhost' ? LOOPBACK : host, port: portOf(name, Number(match[2])) }
}

function portOf(name: keyof NodeFlags, port: number): number {
  if (port <= 65_535) return port
  throw wrong('PORT_INVALID', `${name}: ${port} is no port`)
}

/** Multiaddrs, or for a peer's data plane "host:port". */
function announceOf({ announce = [] }: NodeFlags, role: NodeRoleName): string[] {
  const isGood =
    role === 'peer' ? /^[^/\s]+:\d{1,5}$/ : /^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d+/
  const bad = announce.find((address) => !isGood.test(address))
  if (bad === undefined) return [...announce]
  const form = role === 'peer' ? 'host:port' : '/ip4/…/tcp/… or /dns4/…/tcp/…'
  throw wrong('ANNOUNCE_INVALID', `--announce "${bad}": give ${form}`)
}

function peerAddress(text: string): string {
  if (/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d+(\/.+)*\/p2p\/[A-Za-z0-9]+$/.test(text))
    return text
  throw wrong(
    'PEERS_INVALID',
    `--peers "${text}" is no multiaddr with a peer id: give /ip4/…/tcp/…/p2p/…, as the node prints`,
  )
}

function urlOf(name: keyof NodeFlags, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/$/, '')
  const code = `${variableOf(name).slice('IOEX_'.length)}_INVALID`
  throw wrong(code, `"${text}" is no address of JSON-RPC: give http://host:port`)
}

/** Elastos' P2P protocol beside JSON-RPC; its network where it is not the default one. */
const P2P_FORM =
  /^elap2p:\/\/(\[[0-9a-fA-F:.]+\]|[^:/?#[\]@\s]+)(:\d{1,5})?(\?network=(main|test|regression))?$/

function mainNodeOf(name: keyof NodeFlags, text: string): string {
  if (P2P_FORM.test(text)) return text
  if (/^https?:/.test(text)) return urlOf(name, text)
  const code = `${variableOf(name).slice('IOEX_'.length)}_INVALID`
  throw wrong(code, `"${text}" is no main-chain node: give http://host:port or elap2p://host:port`)
}

function priceOf(
  name: 'price' | 'unitPrice' | 'relayPrice' | 'reservationPrice' | 'linkPriceMax',
  flags: NodeFlags,
) {
  const amount = parseAmount(flags[name] ?? DEFAULTS[name])
  if (amount.ok) return amount.value.toString()
  throw wrong('PRICE_INVALID', `${name}: ${amount.fault.message}`)
}

function linksOf(count: number): number {
  if (count <= PAID_LINKS_MAX) return count
  throw wrong('PAID_LINKS_INVALID', `--paid-links ${count}: at most ${PAID_LINKS_MAX}`)
}

function capacityOf({ capacity = DEFAULTS.capacity }: NodeFlags): number {
  const bytes = parseByteSize(capacity)
  if (bytes.ok && bytes.value > 0) return bytes.value
  throw wrong('CAPACITY_INVALID', `capacity "${capacity}": give a size such as 500GiB`)
}

function friendOf(text: string): string {
  const key = parseHex(text, 33)
  if (key.ok && key.value.length === 33) return text
  throw wrong('FRIENDS_INVALID', `"${text}" is not a node key: expected 66 hex digits`)
}

const isLoopback = (host: string) => /^(127\.|::1$|localhost$)/.test(host)

function fail(error: Error): never {
  throw error
}
