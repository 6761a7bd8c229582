import { ContainerType, ListCompositeType, type Type, type ValueOf } from '@chainsafe/ssz'
import { concatBytes } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { ConsensusMessage } from '../consensus/machine-interface.ts'
import {
  CertificateType,
  HeaderType,
  JUSTIFICATION_BYTES_MAX,
  JustificationType,
  VoteType,
} from '../types/consensus-objects.ts'
import { Bytes32, byteList, Count64 } from '../types/primitives.ts'
import { BLOCK_BODY_BYTES_MAX } from '../types/transactions.ts'

/** What one direct stream between full nodes carries: a kind byte, then one SSZ object. */
const Kind = {
  proposal: 1,
  vote: 2,
  certificate: 3,
  bundle: 4,
  blockRequest: 5,
  block: 6,
} as const

const OBJECTS_PER_BUNDLE_MAX = 4096
/** Fixed parts of a proposal beside body and justification: header, vote, offsets. */
const ENVELOPE_BYTES_MAX = 8 * 1024
const PROPOSAL_BYTES_MAX = BLOCK_BODY_BYTES_MAX + JUSTIFICATION_BYTES_MAX + ENVELOPE_BYTES_MAX
/** A bundle is filled up to 256 KiB by estimate; the rest is room for its frame. */
const BUNDLE_BYTES_MAX = 320 * 1024
const SMALL_BYTES_MAX = 16 * 1024

/** No message is longer; transports may refuse more before reading. */
export const CONSENSUS_FRAME_BYTES_MAX = 1 + PROPOSAL_BYTES_MAX

const ProposalFrameType = new ContainerType(
  {
    header: HeaderType,
    justification: JustificationType,
    leaderVote: VoteType,
    /** Empty in a re-proposal: who lacks the block asks for it. */
    body: byteList(BLOCK_BODY_BYTES_MAX),
  },
  { typeName: 'ProposalFrame' },
)
const BundleFrameType = new ContainerType(
  {
    epoch: Count64,
    view: Count64,
    finalView: Count64,
    certificates: new ListCompositeType(CertificateType, OBJECTS_PER_BUNDLE_MAX),
    votes: new ListCompositeType(VoteType, OBJECTS_PER_BUNDLE_MAX),
  },
  { typeName: 'BundleFrame' },
)
const BlockRequestType = new ContainerType({ hash: Bytes32 }, { typeName: 'BlockRequest' })
const BlockFrameType = new ContainerType(
  {
    header: HeaderType,
    justification: JustificationType,
    body: byteList(BLOCK_BODY_BYTES_MAX),
  },
  { typeName: 'BlockFrame' },
)
export type BlockFrame = ValueOf<typeof BlockFrameType>

export type WireMessage =
  /** `body` belongs to a proposal; empty for all others. */
  | { readonly type: 'consensus'; readonly message: ConsensusMessage; readonly body: Uint8Array }
  | { readonly type: 'blockRequest'; readonly hash: Uint8Array }
  | { readonly type: 'block'; readonly block: BlockFrame }

export const EMPTY_BODY = new Uint8Array(0)

export function encodeMessage(wire: WireMessage): Uint8Array {
  if (wire.type === 'blockRequest') return frame(Kind.blockRequest, BlockRequestType, wire)
  if (wire.type === 'block') return frame(Kind.block, BlockFrameType, wire.block)
  const { message, body } = wire
  switch (message.type) {
    case 'proposal':
      return frame(Kind.proposal, ProposalFrameType, { ...message.proposal, body })
    case 'vote':
      return frame(Kind.vote, VoteType, message.vote)
    case 'certificate':
      return frame(Kind.certificate, CertificateType, message.certificate)
    case 'bundle': {
      const { certificates, votes } = message.bundle
      return frame(Kind.bundle, BundleFrameType, {
        ...message.bundle,
        certificates: certificates.slice(0, OBJECTS_PER_BUNDLE_MAX),
        votes: votes.slice(0, OBJECTS_PER_BUNDLE_MAX),
      })
    }
  }
}

/** Decodes untrusted bytes within the bound of their kind. */
export function decodeMessage(bytes: Uint8Array): Result<WireMessage> {
  const payload = bytes.subarray(1)
  const read = <T>(type: Type<T>, bytesMax: number, make: (value: T) => WireMessage) => {
    const decoded = decodeCanonical(type, payload, bytesMax)
    return decoded.ok ? ok(make(decoded.value)) : decoded
  }
  const consensus = (message: ConsensusMessage, body: Uint8Array = EMPTY_BODY): WireMessage => ({
    type: 'consensus',
    message,
    body,
  })
  switch (bytes[0] ?? 0) {
    case Kind.proposal:
      return read(ProposalFrameType, PROPOSAL_BYTES_MAX, ({ body, ...proposal }) =>
        consensus({ type: 'proposal', proposal }, body),
      )
    case Kind.vote:
      return read(VoteType, SMALL_BYTES_MAX, (vote) => consensus({ type: 'vote', vote }))
    case Kind.certificate:
      return read(CertificateType, SMALL_BYTES_MAX, (certificate) =>
        consensus({ type: 'certificate', certificate }),
      )
    case Kind.bundle:
      return read(BundleFrameType, BUNDLE_BYTES_MAX, (bundle) =>
        consensus({ type: 'bundle', bundle }),
      )
    case Kind.blockRequest:
      return read(BlockRequestType, SMALL_BYTES_MAX, ({ hash }) => ({ type: 'blockRequest', hash }))
    case Kind.block:
      return read(BlockFrameType, PROPOSAL_BYTES_MAX, (block) => ({ type: 'block', block }))
    default:
      return fault('MESSAGE_KIND', 'unknown kind of consensus message')
  }
}

function frame<T>(kind: number, type: Type<T>, value: T): Uint8Array {
  return concatBytes(Uint8Array.of(kind), type.serialize(value))
}
