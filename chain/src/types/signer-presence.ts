import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { Bytes32, Count64, PublicKeyBytes, SignatureBytes } from './primitives.ts'

/** What a process that signs, or is about to, says of itself (docs/protocol/consensus.md 1.7). */
export const SignerPresenceType = new ContainerType(
  {
    /** The consensus key. */
    publicKey: PublicKeyBytes,
    /** Drawn at random when the process started: two with one key differ in it. */
    instance: Bytes32,
    /** Its clock, ms: when it started, and now. */
    startedMs: Count64,
    timeMs: Count64,
  },
  { typeName: 'SignerPresence' },
)
export type SignerPresence = ValueOf<typeof SignerPresenceType>

/** Purpose "presence", by the consensus key itself. */
export const SignedPresenceType = new ContainerType(
  { presence: SignerPresenceType, signature: SignatureBytes },
  { typeName: 'SignedPresence' },
)
export type SignedPresence = ValueOf<typeof SignedPresenceType>

/** Processes with one key that a full node tells of. */
export const PRESENCES_MAX = 4
export const PresencesType = new ListCompositeType(SignedPresenceType, PRESENCES_MAX)
export const PRESENCE_BYTES_MAX = SignedPresenceType.fixedSize ?? 0
export const PRESENCES_BYTES_MAX = PRESENCES_MAX * PRESENCE_BYTES_MAX
