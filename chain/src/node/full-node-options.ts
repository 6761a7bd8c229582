import type { Logger } from 'pino'
import type { HaltReason } from '../driver/block-host.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import type { ConfirmPolicy } from '../follower/confirm-check.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import type { JoinOptions } from './join-network.ts'
import type { SyncMode } from './open-node.ts'
import type { OpeningsKept } from './openings-pruner.ts'

/** What a node needs to sign as a validator. */
export interface ValidatorOptions {
  readonly consensusKey: ConsensusKey
  /** P-256 secret that pays memo anchors. */
  readonly mainKey: Uint8Array
  /**
   * True at the key's very first start: allows a folder without signing history. With
   * ifNotBehind it counts as such only where no network went on without this folder.
   */
  readonly newValidator: boolean | 'ifNotBehind'
  /** Skip timeouts to listen for another signer of the key before signing; default 10. */
  readonly watchTimeouts?: number | undefined
  /** Room kept on the disk for an orderly end, bytes; default 64 MiB. */
  readonly reserveBytes?: number | undefined
}

export interface FullNodeOptions {
  readonly genesis: Genesis
  /** The node's own folder: chain/ and consensus/ lie in it. */
  readonly folder: string
  /** 32-byte secp256k1 secret: the libp2p identity. */
  readonly nodeKey: Uint8Array
  readonly listen: readonly string[]
  /** Multiaddrs to tell others instead of those. */
  readonly announce?: readonly string[] | undefined
  /** Multiaddrs of other full nodes. */
  readonly peers: readonly string[]
  /** A main node: http://… for its JSON-RPC, elap2p://host:port for its P2P protocol. */
  readonly mainChainUrl: string
  /** More main nodes of either kind; of all the branch with the most work is followed. */
  readonly mainChainOtherUrls?: readonly string[] | undefined
  /** Asks for the Confirms of main blocks before their headers are served or voted for. */
  readonly mainConfirms?: ConfirmPolicy | undefined
  /** Default snapshot; nodes that audit the whole history use full. */
  readonly sync?: SyncMode | undefined
  /** Told how far a join by snapshot is, which happens before the node is up. */
  readonly onJoining?: JoinOptions['onJoining']
  /** What the operator vouches for where the main chain does not. */
  readonly operatorTrust?: JoinOptions['operatorTrust']
  /** Openings of proofs and fills: `all`, as an archive node, unless told otherwise. */
  readonly openings?: OpeningsKept | undefined
  /** Undefined for a node that only follows. */
  readonly validator: ValidatorOptions | undefined
  readonly logger: Logger
  /** The last block of this epoch is the last one that this node finalises. */
  readonly haltEpoch?: number | undefined
  /**
   * Consensus stopped for good; the process should end. At a fork (FORK_PROOF) what shows it has
   * been offered to peers for a while by then: stop() is in order.
   */
  readonly onHalt: (reason: HaltReason) => void
}
