import { assert } from '../bytes/assert.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'
import {
  type CouncilProposal,
  readCouncilProposal,
  writeCouncilProposal,
} from './proposal-payload.ts'

/** Transaction types that this codec knows; the wire value of each. */
export const TransactionKind = {
  coinbase: 0x00,
  registerAsset: 0x01,
  transfer: 0x02,
  sideChainPow: 0x05,
  /** Exists on classic side chains only. */
  recharge: 0x06,
  withdraw: 0x07,
  transferCrossChain: 0x08,
  nextTurnArbiters: 0x14,
  councilProposal: 0x25,
  revertToPow: 0x41,
  revertToDpos: 0x42,
  returnDeposit: 0x51,
  recordSponsor: 0x66,
  createNft: 0x71,
  nftDestroy: 0x72,
} as const

/** Caps of the reference node for each kind of field, bytes. */
export const VAR_STRING_BYTES_MAX = 16 * 1024 * 1024
const COINBASE_CONTENT_BYTES_MAX = 1024 * 1024
const SIGNATURE_BYTES_MAX = 64
const PUBLIC_KEY_BYTES_MAX = 33
const SIGNERS_MAX = 255
const LIST_MAX = 0xffff
const PROGRAM_HASH_BYTES = 21
/** Cap of the reference for the code or key of an owner. */
const OWNER_CODE_BYTES_MAX = 34_003
const NFT_VERSION_WITH_VOTES = 1

export interface CrossChainTarget {
  /** Address text of the side chain, one character per byte. */
  readonly address: string
  /** Which output of the same transaction pays for it. */
  readonly outputIndex: number
  readonly amount: bigint
}

/** Moves the votes behind a stake address to a side chain. */
export interface CreateNft {
  readonly kind: 'create-nft'
  readonly referKey: InternalHash
  readonly stakeAddress: string
  readonly genesisHash: InternalHash
  /** From payload version 1 on. */
  readonly votes:
    | {
        readonly startHeight: number
        readonly endHeight: number
        readonly votes: bigint
        readonly voteRights: bigint
        readonly targetOwnerKey: Uint8Array
      }
    | undefined
}

/** A payload, decoded; amounts in sela (10^-8 ELA), texts as byte strings. */
export type MainPayload =
  | { readonly kind: 'coinbase'; readonly content: Uint8Array }
  | {
      readonly kind: 'register-asset'
      readonly name: string
      readonly description: string
      readonly precision: number
      readonly assetType: number
      readonly recordType: number
      readonly amount: bigint
      /** Program hash, 21 bytes. */
      readonly controller: Uint8Array
    }
  | { readonly kind: 'transfer' }
  | {
      readonly kind: 'side-chain-pow'
      readonly sideBlockHash: InternalHash
      readonly sideGenesisHash: InternalHash
      readonly sideHeight: number
      /** The on-duty arbiter's P-256 signature over the 68 bytes before it; 64 bytes or none. */
      readonly signature: Uint8Array
    }
  | {
      readonly kind: 'recharge'
      readonly merkleProof: Uint8Array
      readonly mainTransaction: Uint8Array
    }
  | { readonly kind: 'recharge-by-hash'; readonly mainTransactionHash: InternalHash }
  | {
      readonly kind: 'withdraw'
      readonly mainHeight: number
      readonly genesisAddress: string
      readonly sideTransactions: readonly InternalHash[]
    }
  /** The data stand in the outputs of type 4. */
  | { readonly kind: 'withdraw-by-outputs' }
  | { readonly kind: 'withdraw-schnorr'; readonly signers: Uint8Array }
  | { readonly kind: 'cross-chain'; readonly targets: readonly CrossChainTarget[] }
  /** The data stand in the outputs of type 3. */
  | { readonly kind: 'cross-chain-by-outputs' }
  | {
      readonly kind: 'next-turn-arbiters'
      readonly workingHeight: number
      readonly councilKeys: readonly Uint8Array[]
      readonly electedKeys: readonly Uint8Array[]
    }
  | {
      readonly kind: 'revert-to-pow'
      readonly revertType: number
      readonly workingHeight: number
    }
  | {
      readonly kind: 'revert-to-dpos'
      readonly workHeightInterval: number
      readonly revertToPowHeight: number
    }
  | { readonly kind: 'return-deposit' }
  | { readonly kind: 'return-deposit-schnorr'; readonly signers: Uint8Array }
  | { readonly kind: 'record-sponsor'; readonly sponsor: Uint8Array }
  | CouncilProposal
  | CreateNft
  | {
      readonly kind: 'nft-destroy'
      readonly ids: readonly InternalHash[]
      readonly ownerStakes: readonly Uint8Array[]
      readonly genesisHash: InternalHash
    }

const NONE: MainPayload = { kind: 'transfer' }

/** Reads the payload of a transaction type; a type or version outside the table is a fault. */
export function readPayload(reader: ByteReader, type: number, version: number): MainPayload {
  switch (type) {
    case TransactionKind.coinbase:
      return { kind: 'coinbase', content: reader.varBytes(COINBASE_CONTENT_BYTES_MAX) }
    case TransactionKind.registerAsset:
      return readRegisterAsset(reader)
    case TransactionKind.transfer:
      return NONE
    case TransactionKind.sideChainPow:
      return {
        kind: 'side-chain-pow',
        sideBlockHash: reader.hash(),
        sideGenesisHash: reader.hash(),
        sideHeight: reader.u32(),
        signature: reader.varBytes(SIGNATURE_BYTES_MAX),
      }
    case TransactionKind.recharge:
      return readRecharge(reader, version)
    case TransactionKind.withdraw:
      return readWithdraw(reader, version)
    case TransactionKind.transferCrossChain:
      return readCrossChain(reader, version)
    default:
      return readConsensusPayload(reader, type, version)
  }
}

function readConsensusPayload(reader: ByteReader, type: number, version: number): MainPayload {
  switch (type) {
    case TransactionKind.nextTurnArbiters:
      if (version !== 0) return unknown(reader, type, version)
      return {
        kind: 'next-turn-arbiters',
        workingHeight: reader.u32(),
        councilKeys: readKeys(reader),
        electedKeys: readKeys(reader),
      }
    case TransactionKind.revertToPow:
      return { kind: 'revert-to-pow', revertType: reader.u8(), workingHeight: reader.u32() }
    case TransactionKind.revertToDpos:
      return {
        kind: 'revert-to-dpos',
        workHeightInterval: reader.u32(),
        revertToPowHeight: reader.u32(),
      }
    case TransactionKind.returnDeposit:
      if (version === 0) return { kind: 'return-deposit' }
      if (version !== 1) return unknown(reader, type, version)
      return { kind: 'return-deposit-schnorr', signers: reader.varBytes(SIGNERS_MAX) }
    case TransactionKind.recordSponsor:
      return { kind: 'record-sponsor', sponsor: reader.varBytes(PUBLIC_KEY_BYTES_MAX) }
    case TransactionKind.councilProposal:
      return readCouncilProposal(reader, version)
    case TransactionKind.createNft:
      return readCreateNft(reader, version)
    case TransactionKind.nftDestroy: {
      const ids = reader.hashes(reader.count(LIST_MAX, 32))
      const owners = reader.count(LIST_MAX, PROGRAM_HASH_BYTES)
      const ownerStakes: Uint8Array[] = []
      for (let i = 0; i < owners; i++) ownerStakes.push(reader.fixed(PROGRAM_HASH_BYTES))
      return { kind: 'nft-destroy', ids, ownerStakes, genesisHash: reader.hash() }
    }
    default:
      return unknown(reader, type, version)
  }
}

function readCreateNft(reader: ByteReader, version: number): CreateNft {
  return {
    kind: 'create-nft',
    referKey: reader.hash(),
    stakeAddress: reader.byteString(VAR_STRING_BYTES_MAX),
    genesisHash: reader.hash(),
    votes:
      version < NFT_VERSION_WITH_VOTES
        ? undefined
        : {
            startHeight: reader.u32(),
            endHeight: reader.u32(),
            votes: reader.i64(),
            voteRights: reader.i64(),
            targetOwnerKey: reader.varBytes(OWNER_CODE_BYTES_MAX),
          },
  }
}

function unknown(reader: ByteReader, type: number, version: number): MainPayload {
  reader.fail(
    'MAIN_TRANSACTION_TYPE_UNKNOWN',
    `transaction type 0x${type.toString(16)} with payload version ${version} is not known here`,
  )
  return NONE
}

function readRegisterAsset(reader: ByteReader): MainPayload {
  return {
    kind: 'register-asset',
    name: reader.byteString(VAR_STRING_BYTES_MAX),
    description: reader.byteString(VAR_STRING_BYTES_MAX),
    precision: reader.u8(),
    assetType: reader.u8(),
    recordType: reader.u8(),
    amount: reader.i64(),
    controller: reader.fixed(PROGRAM_HASH_BYTES),
  }
}

function readRecharge(reader: ByteReader, version: number): MainPayload {
  if (version === 1) return { kind: 'recharge-by-hash', mainTransactionHash: reader.hash() }
  if (version !== 0) return unknown(reader, TransactionKind.recharge, version)
  return {
    kind: 'recharge',
    merkleProof: reader.varBytes(VAR_STRING_BYTES_MAX),
    mainTransaction: reader.varBytes(VAR_STRING_BYTES_MAX),
  }
}

function readWithdraw(reader: ByteReader, version: number): MainPayload {
  switch (version) {
    case 0:
      return {
        kind: 'withdraw',
        mainHeight: reader.u32(),
        genesisAddress: reader.byteString(VAR_STRING_BYTES_MAX),
        sideTransactions: reader.hashes(reader.count(LIST_MAX, 32)),
      }
    case 1:
      return { kind: 'withdraw-by-outputs' }
    case 2:
      return { kind: 'withdraw-schnorr', signers: reader.varBytes(SIGNERS_MAX) }
    default:
      return unknown(reader, TransactionKind.withdraw, version)
  }
}

function readCrossChain(reader: ByteReader, version: number): MainPayload {
  if (version === 1) return { kind: 'cross-chain-by-outputs' }
  if (version !== 0) return unknown(reader, TransactionKind.transferCrossChain, version)
  const count = reader.count(LIST_MAX, 10)
  const targets: CrossChainTarget[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    targets.push({
      address: reader.byteString(VAR_STRING_BYTES_MAX),
      outputIndex: reader.varUint(),
      amount: reader.i64(),
    })
  }
  return { kind: 'cross-chain', targets }
}

function readKeys(reader: ByteReader): Uint8Array[] {
  const count = reader.count(LIST_MAX, 1)
  const keys: Uint8Array[] = []
  for (let i = 0; i < count && !reader.failed; i++) keys.push(reader.varBytes(PUBLIC_KEY_BYTES_MAX))
  return keys
}

/** Writes a payload; the transaction's type and payload version say how it is read back. */
export function writePayload(writer: ByteWriter, payload: MainPayload): void {
  switch (payload.kind) {
    case 'coinbase':
      writer.varBytes(payload.content)
      return
    case 'register-asset':
      writer.byteString(payload.name).byteString(payload.description).u8(payload.precision)
      writer.u8(payload.assetType).u8(payload.recordType).i64(payload.amount)
      writer.fixed(payload.controller)
      return
    case 'side-chain-pow':
      writer.fixed(payload.sideBlockHash).fixed(payload.sideGenesisHash).u32(payload.sideHeight)
      writer.varBytes(payload.signature)
      return
    case 'recharge':
      writer.varBytes(payload.merkleProof).varBytes(payload.mainTransaction)
      return
    case 'recharge-by-hash':
      writer.fixed(payload.mainTransactionHash)
      return
    case 'withdraw':
      writer.u32(payload.mainHeight).byteString(payload.genesisAddress)
      writeList(writer, payload.sideTransactions)
      return
    case 'cross-chain':
      writer.varUint(payload.targets.length)
      for (const target of payload.targets) {
        writer.byteString(target.address).varUint(target.outputIndex).i64(target.amount)
      }
      return
    case 'withdraw-schnorr':
    case 'return-deposit-schnorr':
      writer.varBytes(payload.signers)
      return
    case 'transfer':
    case 'withdraw-by-outputs':
    case 'cross-chain-by-outputs':
    case 'return-deposit':
      return
    case 'next-turn-arbiters':
    case 'revert-to-pow':
    case 'revert-to-dpos':
    case 'record-sponsor':
    case 'council-proposal':
    case 'create-nft':
    case 'nft-destroy':
      writeConsensusPayload(writer, payload)
  }
}

type ConsensusPayload = Extract<
  MainPayload,
  {
    kind:
      | 'next-turn-arbiters'
      | 'revert-to-pow'
      | 'revert-to-dpos'
      | 'record-sponsor'
      | 'council-proposal'
      | 'create-nft'
      | 'nft-destroy'
  }
>

function writeConsensusPayload(writer: ByteWriter, payload: ConsensusPayload): void {
  switch (payload.kind) {
    case 'next-turn-arbiters':
      writer.u32(payload.workingHeight)
      for (const keys of [payload.councilKeys, payload.electedKeys]) {
        writer.varUint(keys.length)
        for (const key of keys) writer.varBytes(key)
      }
      return
    case 'revert-to-pow':
      writer.u8(payload.revertType).u32(payload.workingHeight)
      return
    case 'revert-to-dpos':
      writer.u32(payload.workHeightInterval).u32(payload.revertToPowHeight)
      return
    case 'record-sponsor':
      writer.varBytes(payload.sponsor)
      return
    case 'council-proposal':
      writeCouncilProposal(writer, payload)
      return
    case 'create-nft':
      writeCreateNft(writer, payload)
      return
    case 'nft-destroy':
      writeList(writer, payload.ids)
      for (const stake of payload.ownerStakes) {
        assert(stake.length === PROGRAM_HASH_BYTES, 'a program hash has 21 bytes')
      }
      writeList(writer, payload.ownerStakes)
      writer.fixed(payload.genesisHash)
  }
}

function writeCreateNft(writer: ByteWriter, payload: CreateNft): void {
  writer.fixed(payload.referKey).byteString(payload.stakeAddress).fixed(payload.genesisHash)
  const { votes } = payload
  if (!votes) return
  writer.u32(votes.startHeight).u32(votes.endHeight).i64(votes.votes).i64(votes.voteRights)
  writer.varBytes(votes.targetOwnerKey)
}

function writeList(writer: ByteWriter, items: readonly Uint8Array[]): void {
  writer.varUint(items.length)
  for (const item of items) writer.fixed(item)
}
