import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'

/** Kinds of council proposals whose layout is their own; all others have the common one. */
const ProposalKind = {
  upgradeMain: 0x0200,
  upgradeDid: 0x0201,
  upgradeEth: 0x0202,
  secretary: 0x0400,
  newOwner: 0x0401,
  close: 0x0402,
  registerSideChain: 0x0410,
  reserveIds: 0x0500,
  receiveIds: 0x0501,
  idFee: 0x0502,
} as const

const TEXT_BYTES_MAX = 16 * 1024 * 1024
const DRAFT_BYTES_MAX = 1024 * 1024
/** Cap of the reference for the key of an owner. */
const OWNER_BYTES_MAX = 33
const SIGNATURE_BYTES_MAX = 64
const PROGRAM_HASH_BYTES = 21
const LIST_MAX = 0xffff
const BUDGET_BYTES = 10
/** From this payload version on, a proposal carries its draft; upgrades never do. */
const VERSION_WITH_DRAFT = 1

export interface SideChainRegistration {
  readonly name: string
  readonly magic: number
  readonly genesisHash: InternalHash
  /** Units of the side chain for one ELA, in 10^-8. */
  readonly exchangeRate: bigint
  readonly effectiveHeight: number
  readonly resourcePath: string
}

export type ProposalContent =
  | {
      readonly kind: 'budgets'
      readonly budgets: readonly {
        readonly type: number
        readonly stage: number
        readonly amount: bigint
      }[]
      readonly recipient: Uint8Array
    }
  | { readonly kind: 'side-chain'; readonly sideChain: SideChainRegistration }
  | {
      readonly kind: 'new-owner'
      readonly targetProposal: InternalHash
      readonly newRecipient: Uint8Array
      readonly newOwnerKey: Uint8Array
    }
  | { readonly kind: 'close'; readonly targetProposal: InternalHash }
  | {
      readonly kind: 'secretary'
      readonly secretaryKey: Uint8Array
      readonly secretary: Uint8Array
    }
  | {
      readonly kind: 'upgrade'
      readonly workingHeight: number
      readonly nodeVersion: string
      readonly downloadUrl: string
      readonly binaryHash: InternalHash
      readonly isForced: boolean
    }
  | { readonly kind: 'reserve-ids'; readonly ids: readonly string[] }
  | { readonly kind: 'receive-ids'; readonly ids: readonly string[]; readonly receiver: Uint8Array }
  | { readonly kind: 'id-fee'; readonly rate: bigint; readonly effectiveHeight: number }

/** A proposal of the council; one of kind 0x0410 registers a side chain. */
export interface CouncilProposal {
  readonly kind: 'council-proposal'
  readonly proposalType: number
  readonly category: string
  readonly ownerKey: Uint8Array
  readonly draftHash: InternalHash
  readonly draft: Uint8Array | undefined
  readonly content: ProposalContent
  readonly signature: Uint8Array
  /** Of the new owner or the new secretary, where there is one. */
  readonly secondSignature: Uint8Array | undefined
  readonly councilMember: Uint8Array
  readonly councilSignature: Uint8Array
}

export function readCouncilProposal(reader: ByteReader, version: number): CouncilProposal {
  const proposalType = reader.u16()
  const isUpgrade = proposalType >= ProposalKind.upgradeMain && proposalType <= 0x0202
  const isCosigned =
    proposalType === ProposalKind.secretary || proposalType === ProposalKind.newOwner
  const hasDraft = version >= VERSION_WITH_DRAFT && !isUpgrade
  return {
    kind: 'council-proposal',
    proposalType,
    category: reader.byteString(TEXT_BYTES_MAX),
    ownerKey: reader.varBytes(OWNER_BYTES_MAX),
    draftHash: reader.hash(),
    draft: hasDraft ? reader.varBytes(DRAFT_BYTES_MAX) : undefined,
    content: readContent(reader, proposalType),
    signature: reader.varBytes(SIGNATURE_BYTES_MAX),
    secondSignature: isCosigned ? reader.varBytes(SIGNATURE_BYTES_MAX) : undefined,
    councilMember: reader.fixed(PROGRAM_HASH_BYTES),
    councilSignature: reader.varBytes(SIGNATURE_BYTES_MAX),
  }
}

function readContent(reader: ByteReader, proposalType: number): ProposalContent {
  switch (proposalType) {
    case ProposalKind.upgradeMain:
    case ProposalKind.upgradeDid:
    case ProposalKind.upgradeEth:
      return readUpgrade(reader)
    case ProposalKind.secretary:
      return {
        kind: 'secretary',
        secretaryKey: reader.varBytes(OWNER_BYTES_MAX),
        secretary: reader.fixed(PROGRAM_HASH_BYTES),
      }
    case ProposalKind.newOwner:
      return {
        kind: 'new-owner',
        targetProposal: reader.hash(),
        newRecipient: reader.fixed(PROGRAM_HASH_BYTES),
        newOwnerKey: reader.varBytes(OWNER_BYTES_MAX),
      }
    case ProposalKind.close:
      return { kind: 'close', targetProposal: reader.hash() }
    case ProposalKind.registerSideChain:
      return { kind: 'side-chain', sideChain: readSideChain(reader) }
    case ProposalKind.reserveIds:
      return { kind: 'reserve-ids', ids: readTexts(reader) }
    case ProposalKind.receiveIds: {
      const ids = readTexts(reader)
      return { kind: 'receive-ids', ids, receiver: reader.fixed(PROGRAM_HASH_BYTES) }
    }
    case ProposalKind.idFee:
      return { kind: 'id-fee', rate: reader.i64(), effectiveHeight: reader.u32() }
    default:
      return readBudgets(reader)
  }
}

function readUpgrade(reader: ByteReader): ProposalContent {
  const workingHeight = reader.u32()
  const nodeVersion = reader.byteString(TEXT_BYTES_MAX)
  const downloadUrl = reader.byteString(TEXT_BYTES_MAX)
  const binaryHash = reader.hash()
  const flag = reader.u8()
  if (flag > 1) reader.fail('MAIN_FLAG_MALFORMED', 'a flag is 0 or 1')
  return {
    kind: 'upgrade',
    workingHeight,
    nodeVersion,
    downloadUrl,
    binaryHash,
    isForced: flag === 1,
  }
}

function readSideChain(reader: ByteReader): SideChainRegistration {
  return {
    name: reader.byteString(TEXT_BYTES_MAX),
    magic: reader.u32(),
    genesisHash: reader.hash(),
    exchangeRate: reader.i64(),
    effectiveHeight: reader.u32(),
    resourcePath: reader.byteString(TEXT_BYTES_MAX),
  }
}

function readTexts(reader: ByteReader): string[] {
  const count = reader.count(LIST_MAX, 1)
  const texts: string[] = []
  for (let i = 0; i < count && !reader.failed; i++) texts.push(reader.byteString(TEXT_BYTES_MAX))
  return texts
}

function readBudgets(reader: ByteReader): ProposalContent {
  const count = reader.count(LIST_MAX, BUDGET_BYTES)
  const budgets: { type: number; stage: number; amount: bigint }[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    budgets.push({ type: reader.u8(), stage: reader.u8(), amount: reader.i64() })
  }
  return { kind: 'budgets', budgets, recipient: reader.fixed(PROGRAM_HASH_BYTES) }
}

export function writeCouncilProposal(writer: ByteWriter, proposal: CouncilProposal): void {
  writer.u16(proposal.proposalType).byteString(proposal.category).varBytes(proposal.ownerKey)
  writer.fixed(proposal.draftHash)
  if (proposal.draft !== undefined) writer.varBytes(proposal.draft)
  writeContent(writer, proposal.content)
  writer.varBytes(proposal.signature)
  if (proposal.secondSignature !== undefined) writer.varBytes(proposal.secondSignature)
  writer.fixed(proposal.councilMember).varBytes(proposal.councilSignature)
}

function writeContent(writer: ByteWriter, content: ProposalContent): void {
  switch (content.kind) {
    case 'budgets':
      writer.varUint(content.budgets.length)
      for (const { type, stage, amount } of content.budgets) writer.u8(type).u8(stage).i64(amount)
      writer.fixed(content.recipient)
      return
    case 'side-chain': {
      const { sideChain } = content
      writer.byteString(sideChain.name).u32(sideChain.magic).fixed(sideChain.genesisHash)
      writer.i64(sideChain.exchangeRate).u32(sideChain.effectiveHeight)
      writer.byteString(sideChain.resourcePath)
      return
    }
    case 'new-owner':
      writer.fixed(content.targetProposal).fixed(content.newRecipient)
      writer.varBytes(content.newOwnerKey)
      return
    case 'close':
      writer.fixed(content.targetProposal)
      return
    case 'secretary':
      writer.varBytes(content.secretaryKey).fixed(content.secretary)
      return
    case 'upgrade':
      writer.u32(content.workingHeight).byteString(content.nodeVersion)
      writer.byteString(content.downloadUrl).fixed(content.binaryHash)
      writer.u8(content.isForced ? 1 : 0)
      return
    case 'reserve-ids':
    case 'receive-ids':
      writer.varUint(content.ids.length)
      for (const id of content.ids) writer.byteString(id)
      if (content.kind === 'receive-ids') writer.fixed(content.receiver)
      return
    case 'id-fee':
      writer.i64(content.rate).u32(content.effectiveHeight)
  }
}
