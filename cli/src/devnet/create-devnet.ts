import { join } from 'node:path'
import { addressOf, bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import {
  formatElaAddress,
  LOCAL_ARBITER_KEYS_HEX,
  p256PublicKey,
  standardProgramHash,
} from '@ioex/chain/elastos'
import { peerIdOf } from '@ioex/chain/net'
import writeFileAtomic from 'write-file-atomic'

import type { NodeConfig } from '../nodes/node-config.ts'
import type { NodeKeyKind } from '../keys/plain-key.ts'
import { readOrCreateKey } from '../nodes/key-file.ts'
import {
  type DevnetOptions,
  type DevnetRecord,
  genesisPath,
  mainArbitersPath,
  UNDIALABLE_PEERS,
  writeJson,
} from './devnet-files.ts'
import { assertPortFree, freePort } from './free-port.ts'

/** Prices of the local network: small, but large enough that every share is above a unit. */
const PRICE_PER_GIB_EPOCH = 100_000_000n
const PRICE_PER_GIB_MOVED = 10_000_000n
const RELAY_PRICE_PER_GIB = 50_000_000n
const CAPACITY_BYTES = 8 * 2 ** 30
const LOOPBACK = '127.0.0.1'

export interface Seat {
  readonly name: string
  readonly role: NodeConfig['role']
  readonly folder: string
  readonly ownerKey: Uint8Array
  readonly nodeKey: Uint8Array
  /** Validators only. */
  readonly consensusKey?: Uint8Array
  /** Validators only: P-256 secret that pays memo anchors on the main chain. */
  readonly mainKey?: Uint8Array
  readonly dialable: boolean
  readonly p2pPort: number | undefined
  readonly rpcPort: number | undefined
}

/** Keys and ports of every node of a new network. */
export async function createSeats(options: DevnetOptions): Promise<Seat[]> {
  const seats: Seat[] = []
  const add = async (role: Seat['role'], count: number) => {
    for (let number = 1; number <= count; number++) {
      const dialable = role !== 'peer' || number <= count - UNDIALABLE_PEERS
      seats.push(await createSeat(options, role, number, dialable))
    }
  }
  await add('validator', options.validators)
  await add('bootstrap', options.bootstraps)
  await add('peer', options.peers)
  return seats
}

async function createSeat(
  options: DevnetOptions,
  role: Seat['role'],
  number: number,
  dialable: boolean,
): Promise<Seat> {
  const name = `${role}-${number}`
  const folder = join(options.data, name)
  const key = (kind: NodeKeyKind) => readOrCreateKey(join(folder, 'keys', `${kind}.key`), kind)
  const first = role === 'validator' && number === 1
  const port = (offset: number) =>
    first && options.portBase > 0 ? assertPortFree(options.portBase + offset) : freePort()
  return {
    name,
    role,
    folder,
    ownerKey: await key('owner'),
    nodeKey: await key('node'),
    ...(role === 'validator' && {
      consensusKey: await key('consensus'),
      mainKey: await key('main-chain'),
    }),
    dialable,
    p2pPort: dialable ? await port(668) : undefined,
    rpcPort: role === 'validator' ? await port(666) : undefined,
  }
}

/** The network's record and every node's config file. */
export async function writeConfigs(
  options: DevnetOptions,
  seats: readonly Seat[],
  mainChain: Pick<
    DevnetRecord,
    'mainChainPort' | 'mainChainP2pPort' | 'mainChainGenesis' | 'arbiterPort'
  >,
): Promise<DevnetRecord> {
  const { arbiterPort } = mainChain
  const validators = seats.filter(({ role }) => role === 'validator')
  const bootstraps = seats.filter(({ role }) => role === 'bootstrap')
  const rpcUrls = validators.map(({ rpcPort }) => `http://${LOOPBACK}:${rpcPort}`)
  const friends = seats
    .filter(({ dialable }) => !dialable)
    .map(({ nodeKey }) => bytesToHex(publicKeyOf(nodeKey)))
  const mainArbiters = options.mainConfirms ? mainArbitersPath(options.data) : undefined
  if (mainArbiters) await writeFileAtomic(mainArbiters, `${LOCAL_ARBITER_KEYS_HEX.join('\n')}\n`)
  for (const seat of seats) {
    const others = (group: readonly Seat[]) =>
      group.filter(({ name }) => name !== seat.name).map(multiaddrOf)
    await writeJson(join(seat.folder, 'config.json'), {
      name: seat.name,
      role: seat.role,
      genesis: genesisPath(options.data),
      data: seat.folder,
      listen: seat.p2pPort === undefined ? null : { host: LOOPBACK, port: seat.p2pPort },
      peers: others(seat.role === 'validator' ? validators : bootstraps),
      ...configOfRole(seat, rpcUrls, mainChain, friends),
      ...(mainArbiters && seat.role === 'validator' && { mainArbiters }),
      // The first node is the one that commands talk to: its token lies where they look for it.
      ...(seat === validators[0] && {
        tokenFile: join(options.data, 'rpc-token'),
        ...(arbiterPort !== undefined && {
          arbiter: { host: LOOPBACK, port: arbiterPort, powChain: true },
        }),
      }),
      logLevel: 'info',
    } satisfies NodeConfig)
  }
  return {
    version: 1,
    preset: options.preset,
    ...mainChain,
    bootstrap: bootstraps.map(multiaddrOf),
    nodes: seats.map(({ name, role, rpcPort, p2pPort, dialable }) => ({
      name,
      role,
      config: join(name, 'config.json'),
      rpcPort,
      p2pPort,
      dialable,
    })),
  }
}

function configOfRole(
  seat: Seat,
  rpcUrls: readonly string[],
  { mainChainPort, mainChainP2pPort }: Pick<DevnetRecord, 'mainChainPort' | 'mainChainP2pPort'>,
  friends: readonly string[],
): Partial<NodeConfig> {
  switch (seat.role) {
    case 'validator':
      return {
        rpc: { host: LOOPBACK, port: seat.rpcPort as number },
        mainChainUrl: `http://${LOOPBACK}:${mainChainPort}`,
        // The same chain once more, the other way: both must lead to the same blocks.
        ...(mainChainP2pPort !== undefined && {
          mainChainOtherUrls: [`elap2p://${LOOPBACK}:${mainChainP2pPort}`],
        }),
        // All are ours: a network that was left for the night goes on without an anchor.
        trustedCheckpoint: 'any',
        // All on one disk, started together by one supervisor.
        signing: { watchTimeouts: 1, reserveMiB: 1 },
      }
    case 'bootstrap':
      return {
        rpcUrls: [...rpcUrls],
        relay: { unitPrice: RELAY_PRICE_PER_GIB.toString(), reservationPrice: '0' },
      }
    case 'peer':
      return {
        rpcUrls: [...rpcUrls],
        storage: {
          capacityBytes: CAPACITY_BYTES,
          price: PRICE_PER_GIB_EPOCH.toString(),
          unitPrice: PRICE_PER_GIB_MOVED.toString(),
          friends: [...friends],
        },
      }
  }
}

function multiaddrOf({ nodeKey, p2pPort }: Seat): string {
  return `/ip4/${LOOPBACK}/tcp/${p2pPort}/p2p/${peerIdOf(nodeKey)}`
}

export const ownerAddress = ({ ownerKey }: Seat) => addressOf(publicKeyOf(ownerKey))

/** The ELA address from which a validator pays its memo anchors. */
export function mainAddress({ mainKey }: Seat): string {
  return formatElaAddress(standardProgramHash(p256PublicKey(mainKey as Uint8Array)))
}
