import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { schemaIssues } from '../output/schema-issues.ts'

const host = z.string().min(1)
const port = z.int().min(0).max(65_535)
const url = z.url({ protocol: /^https?$/ })
const mainNode = z.url({ protocol: /^(https?|elap2p)$/ })
const units = z.string().regex(/^\d{1,20}$/)

/** An offer names four relays; the first is free. */
export const PAID_LINKS_MAX = 3
/** Bytes of the region that an offer names. */
export const OFFER_REGION_BYTES_MAX = 16
/** Two times of the day, the second after midnight where it is the smaller. */
export const QUIET_HOURS = /^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/

/** A checkpoint by epoch and hash, or any. */
export const TRUSTED_CHECKPOINT = /^(any|[1-9]\d{0,14}:[0-9a-f]{64})$/

/** What one node process is told. Secrets are in key files beside it, never in the config. */
export const NodeConfigSchema = z.strictObject({
  name: z.string().min(1),
  role: z.enum(['validator', 'bootstrap', 'peer']),
  /** Path of the genesis file. */
  genesis: z.string().min(1),
  /** File with the forks of the network, where the release does not carry them. */
  forks: z.string().min(1).optional(),
  /** The node's own folder. */
  data: z.string().min(1),
  /** Where to accept peers; null for a device that nobody can dial. */
  listen: z.strictObject({ host, port }).nullable(),
  /** Addresses to tell others instead of the listen address: multiaddrs, a peer's "host:port". */
  announce: z.array(z.string().min(1)).optional(),
  /** Multiaddrs of full nodes (validator) or bootstrap nodes (bootstrap, peer). */
  peers: z.array(z.string()),
  /** JSON-RPC listener of a full node. Beyond loopback only where isPublic says so. */
  rpc: z
    .strictObject({
      host,
      port,
      isPublic: z.boolean().optional(),
      /** Host names under which a public listener may be addressed. */
      allowedHosts: z.array(z.string().min(1)).optional(),
      /** Web pages that may read: their origins, or "*". */
      allowedOrigins: z.array(z.string().min(1)).optional(),
    })
    .optional(),
  /** Health and metrics pages of the process. */
  metrics: z.strictObject({ host, port }).optional(),
  /** File of the access token for protected methods; default rpc-token in the node's folder. */
  tokenFile: z.string().min(1).optional(),
  /** Full nodes that a thin node asks; at least two, or the one in its own process. */
  rpcUrls: z.array(url).optional(),
  asksOwnNode: z.boolean().optional(),
  /** The main-chain node that a full node follows: http(s) JSON-RPC, or elap2p://host:port. */
  mainChainUrl: mainNode.optional(),
  /** More main-chain nodes of either kind: compared, and followed where the first fails. */
  mainChainOtherUrls: z.array(mainNode).max(8).optional(),
  /**
   * Asks for the Confirms of main blocks: "nodes" for the arbiters that two main nodes agree on,
   * or a file of their keys.
   */
  mainArbiters: z.string().min(1).optional(),
  /**
   * The validator's key never signed before: it may start without a signing history. Unset: it
   * may where the folder holds no chain, which is safe only for keys that never leave the folder.
   */
  newValidator: z.boolean().optional(),
  /** The last block of this epoch is the last one that this node finalises. */
  haltEpoch: z.int().positive().optional(),
  /** How a full node with an empty folder gets to the tip; full for nodes that audit history. */
  sync: z.enum(['snapshot', 'full']).optional(),
  /**
   * What the operator vouches for where the main chain does not: "epoch:hash" of a checkpoint, or
   * "any" history that peers prove, where all of them are the operator's own.
   */
  trustedCheckpoint: z.string().regex(TRUSTED_CHECKPOINT).optional(),
  /** What a full node keeps of proofs and fills once their epoch is anchored for good. */
  openings: z.enum(['all', 'recent']).optional(),
  /** How carefully a validator signs; unset: 10 and 64. */
  signing: z
    .strictObject({
      /** Skip timeouts to listen for another signer of the key before signing. */
      watchTimeouts: z.number().min(0),
      /** Room kept on the disk for an orderly end when it is full. */
      reserveMiB: z.int().min(1),
    })
    .optional(),
  /** Listener for an Elastos Arbiter; without a user any credentials are taken. */
  arbiter: z
    .strictObject({
      host,
      port,
      /** True: the Arbiter anchors checkpoints. False: it only pays withdrawals. */
      powChain: z.boolean(),
      user: z.string().min(1).optional(),
      /** File with the password; secrets never stand in a config. */
      passwordFile: z.string().min(1).optional(),
      /** Addresses that may call; this machine's own by default. */
      allow: z.array(z.string().min(1)).optional(),
    })
    .optional(),
  storage: z
    .strictObject({
      capacityBytes: z.int().positive(),
      /** Units per GiB-epoch. */
      price: units,
      /** Units per GiB moved. */
      unitPrice: units,
      /** Bytes that may be moved in a day (UTC). */
      bytesPerDay: z.int().positive().optional(),
      /** "22:00-06:30" UTC: no transfers then; proofs go on. */
      quietHours: z.string().regex(QUIET_HOURS).optional(),
      /** Where the node says it is: text of at most 16 bytes, and its network's number. */
      region: z.string().max(OFFER_REGION_BYTES_MAX).optional(),
      asn: z.int().min(0).max(0xffff_ffff).optional(),
      /** Rebuild the owner's lost slots where that is due; needs the owner's key. */
      repair: z.boolean().optional(),
      /** Links to relays beyond the free one, paid with the owner's key in the node's folder. */
      paidLinks: z.int().min(0).max(PAID_LINKS_MAX).optional(),
      /** Most units for an epoch of such a link. */
      linkPriceMax: units.optional(),
      /** Give notice for everything stored, at every start. */
      leave: z.boolean().optional(),
      /** Node key addresses (hex public keys) that may deliver files into the inbox. */
      friends: z.array(z.string()),
    })
    .optional(),
  relay: z
    .strictObject({
      /** Units per GiB relayed. */
      unitPrice: units,
      /** Units per reservation unit: an epoch of a link beyond a node's free one. */
      reservationPrice: units,
    })
    .optional(),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
})
export type NodeConfig = z.infer<typeof NodeConfigSchema>

/** A config file that cannot be used; the message lists what is wrong where. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly code = 'CONFIG'
}

export async function readNodeConfig(path: string): Promise<NodeConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    throw new ConfigError(`no config file at ${path}`)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new ConfigError(
      `${path} is not JSON: ${(error as Error).message}. Correct it, or restore it from a backup.`,
    )
  }
  const parsed = NodeConfigSchema.safeParse(json)
  if (!parsed.success) throw new ConfigError(`${path}: ${schemaIssues(parsed.error)}`)
  return parsed.data
}
