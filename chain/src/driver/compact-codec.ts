import {
  ByteVectorType,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  type ValueOf,
} from '@chainsafe/ssz'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { HeaderType, JustificationType, VoteType } from '../types/consensus-objects.ts'
import { Bytes32, byteList, U32 } from '../types/primitives.ts'
import {
  BLOCK_BODY_BYTES_MAX,
  TRANSACTION_BYTES_MAX,
  TRANSACTIONS_PER_BLOCK_MAX,
} from '../types/transactions.ts'

const SHORT_ID_BYTES = 8
const SALT_BYTES = 16

/** A serialized transaction. */
const RawTransaction = byteList(TRANSACTION_BYTES_MAX)
const RawTransactions = new ListCompositeType(RawTransaction, TRANSACTIONS_PER_BLOCK_MAX)
/** The bytes of BlockBodyType, whose transactions are left as they are. */
const RawBodyType = new ContainerType({ transactions: RawTransactions }, { typeName: 'RawBody' })

/** A proposal whose receiver is expected to have most transactions of the body. */
export const CompactProposalType = new ContainerType(
  {
    /** SHA-256 of the whole message. */
    digest: Bytes32,
    /** Chosen by the sender for this message: nobody can prepare ids that collide under it. */
    salt: new ByteVectorType(SALT_BYTES),
    header: HeaderType,
    justification: JustificationType,
    leaderVote: VoteType,
    /** Of the transactions in their order, but for those in `whole`. */
    ids: new ListCompositeType(new ByteVectorType(SHORT_ID_BYTES), TRANSACTIONS_PER_BLOCK_MAX),
    /** What was never announced, by place in the body, ascending. */
    whole: new ListCompositeType(
      new ContainerType({ index: U32, transaction: RawTransaction }),
      TRANSACTIONS_PER_BLOCK_MAX,
    ),
  },
  { typeName: 'CompactProposal' },
)
export type CompactProposal = ValueOf<typeof CompactProposalType>

/** Asks for transactions of a proposal by their places in its body. */
export const PiecesRequestType = new ContainerType(
  { digest: Bytes32, indexes: new ListBasicType(U32, TRANSACTIONS_PER_BLOCK_MAX) },
  { typeName: 'PiecesRequest' },
)
/** The transactions that were asked for, in that order. */
export const PiecesType = new ContainerType(
  { digest: Bytes32, transactions: RawTransactions },
  { typeName: 'Pieces' },
)

/** Serialized transactions of a block's body; undefined where it is none. */
export function splitBody(body: Uint8Array): Uint8Array[] | undefined {
  const decoded = decodeCanonical(RawBodyType, body, BLOCK_BODY_BYTES_MAX)
  return decoded.ok ? decoded.value.transactions : undefined
}

export function joinBody(transactions: readonly Uint8Array[]): Uint8Array {
  return RawBodyType.serialize({ transactions: [...transactions] })
}

/** What a transaction is called in one compact proposal, by the SHA-256 of its bytes. */
export function shortIdIn(salt: Uint8Array, name: Uint8Array): Uint8Array {
  const salted = new Uint8Array(SALT_BYTES + name.length)
  salted.set(salt)
  salted.set(name, SALT_BYTES)
  return sha256(salted).subarray(0, SHORT_ID_BYTES)
}

/**
 * Ids and whole transactions at their places in the body; undefined where the places do not make a
 * list without gaps.
 */
export function placesOf({ ids, whole }: CompactProposal): (Hex | Uint8Array)[] | undefined {
  const places: (Hex | Uint8Array)[] = []
  const total = ids.length + whole.length
  if (total > TRANSACTIONS_PER_BLOCK_MAX) return undefined
  let next = 0
  for (let place = 0; place < total; place++) {
    const given = whole[place - next]
    if (given?.index === place) places.push(given.transaction)
    else {
      const id = ids[next]
      if (!id) return undefined
      places.push(bytesToHex(id))
      next += 1
    }
  }
  return places
}
