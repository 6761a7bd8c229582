import { CommandError, EXIT_USAGE } from '../output/failure.ts'
import { type NodeFlags, type NodeRoleName, variableOf } from './node-flags.ts'

/** Whose setting a flag is; `beside`: of a second role in a validator's process. */
type FlagUser = 'every' | NodeRoleName | 'thin' | 'beside'

/** Every flag stands here, so that a new one cannot be given where nothing reads it. */
const FLAG_USERS: Readonly<Record<keyof NodeFlags, FlagUser>> = {
  roles: 'every',
  genesis: 'every',
  forks: 'every',
  data: 'every',
  name: 'every',
  listen: 'every',
  announce: 'every',
  peers: 'every',
  metrics: 'every',
  logLevel: 'every',
  fullNodes: 'thin',
  bootstrapListen: 'beside',
  peerListen: 'beside',
  bootstraps: 'beside',
  mainChain: 'validator',
  mainChainOthers: 'validator',
  mainArbiters: 'validator',
  rpcHost: 'validator',
  rpcPort: 'validator',
  rpcPublic: 'validator',
  rpcAllowHost: 'validator',
  rpcAllowOrigin: 'validator',
  newValidator: 'validator',
  haltEpoch: 'validator',
  sync: 'validator',
  trustedCheckpoint: 'validator',
  openings: 'validator',
  relayPrice: 'bootstrap',
  reservationPrice: 'bootstrap',
  capacity: 'peer',
  price: 'peer',
  unitPrice: 'peer',
  dailyTraffic: 'peer',
  quietHours: 'peer',
  region: 'peer',
  asn: 'peer',
  paidLinks: 'peer',
  linkPriceMax: 'peer',
  repair: 'peer',
  leave: 'peer',
  friends: 'peer',
}

/** By user, what is refused: the code, what this node is not, and what to do. */
const REFUSALS = {
  validator: {
    code: 'VALIDATOR_FLAGS_UNUSED',
    why: 'this node is no validator',
    cure: 'leave that out, or add the role validator',
  },
  bootstrap: {
    code: 'BOOTSTRAP_FLAGS_UNUSED',
    why: 'no role of this node relays',
    cure:
      'leave that out, or add the role bootstrap (in a data folder of its own where the node is ' +
      'a peer)',
  },
  peer: {
    code: 'STORAGE_FLAGS_UNUSED',
    why: 'no role of this node stores',
    cure:
      'leave that out, or add the role peer (in a data folder of its own where the node is a ' +
      'bootstrap node)',
  },
  thin: {
    code: 'FULL_NODES_UNUSED',
    why: 'a validator is a full node itself and asks no other',
    cure: 'leave that out; other validators are named with --peers',
  },
  beside: {
    code: 'SECOND_ROLE_FLAGS_UNUSED',
    why: "this process has no second role of that kind beside a validator's",
    cure: 'leave that out: a node of one role takes --listen and --peers',
  },
} as const satisfies Record<Exclude<FlagUser, 'every'>, object>

export const dashed = (name: string) =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/**
 * Refuses flags that no role of the node reads. Whoever names a capacity expects the node to store,
 * whoever names --halt-epoch that it stops there: silence would cost days to notice.
 */
export function refuseUnusedFlags(flags: NodeFlags, roles: readonly NodeRoleName[]): void {
  for (const [user, { code, why, cure }] of Object.entries(REFUSALS)) {
    const given = (Object.keys(FLAG_USERS) as (keyof NodeFlags)[]).filter(
      (name) => FLAG_USERS[name] === user && isGiven(flags[name]) && !isRead(name, user, roles),
    )
    if (given.length === 0) continue
    const names = given.map((name) => `--${dashed(name)} (${variableOf(name)})`).join(', ')
    throw new CommandError(code, `${why}, but it is given ${names}: ${cure}`, EXIT_USAGE)
  }
}

function isGiven(value: NodeFlags[keyof NodeFlags]): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0)
}

function isRead(name: keyof NodeFlags, user: string, roles: readonly NodeRoleName[]): boolean {
  if (user === 'thin') return roles.some((role) => role !== 'validator')
  if (user !== 'beside') return roles.some((role) => role === user)
  if (!roles.includes('validator')) return false
  if (name === 'bootstrapListen') return roles.includes('bootstrap')
  return name === 'peerListen' ? roles.includes('peer') : roles.length > 1
}
