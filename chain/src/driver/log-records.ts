import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { assert } from '../bytes/assert.ts'
import { bytesToHex, type Hex } from '../bytes/hex.ts'
import type { LogRecord } from '../consensus/machine-interface.ts'
import {
  CertificateType,
  HeaderType,
  JustificationType,
  VoteType,
} from '../types/consensus-objects.ts'
import { blockHash } from '../types/block.ts'
import { byteList } from '../types/primitives.ts'
import { BLOCK_BODY_BYTES_MAX } from '../types/transactions.ts'
import type { LogEntry } from './write-ahead-log.ts'

const EntryKind = { block: 1, vote: 2, certificate: 3, reproposal: 4 } as const

const LoggedBlockType = new ContainerType(
  { header: HeaderType, justification: JustificationType, body: byteList(BLOCK_BODY_BYTES_MAX) },
  { typeName: 'LoggedBlock' },
)
type LoggedBlock = ValueOf<typeof LoggedBlockType>

/** The log entry of a record. `epoch` is the current one, `body` that of a block record. */
export function entryOf(record: LogRecord, epoch: number, body: Uint8Array): LogEntry {
  switch (record.type) {
    case 'block': {
      const { header, justification } = record.block
      const payload = LoggedBlockType.serialize({ header, justification, body })
      return { kind: EntryKind.block, epoch, view: header.view, payload }
    }
    case 'vote': {
      const { view } = record.vote.statement
      return { kind: EntryKind.vote, epoch, view, payload: VoteType.serialize(record.vote) }
    }
    case 'certificate': {
      const { view } = record.certificate.statement
      const payload = CertificateType.serialize(record.certificate)
      return { kind: EntryKind.certificate, epoch, view, payload }
    }
    case 'reproposal': {
      const payload = JustificationType.serialize(record.justification)
      return { kind: EntryKind.reproposal, epoch, view: record.view, payload }
    }
  }
}

export interface RestoredLog {
  readonly records: LogRecord[]
  readonly bodies: Map<Hex, Uint8Array>
}

/** Entries are our own and checksummed: one that does not decode is a bug, not bad input. */
export function recordsOf(entries: readonly LogEntry[]): RestoredLog {
  const bodies = new Map<Hex, Uint8Array>()
  const records = entries.map((entry): LogRecord => {
    const { kind, view, payload } = entry
    if (kind === EntryKind.vote) return { type: 'vote', vote: VoteType.deserialize(payload) }
    if (kind === EntryKind.certificate) {
      return { type: 'certificate', certificate: CertificateType.deserialize(payload) }
    }
    if (kind === EntryKind.reproposal) {
      return { type: 'reproposal', view, justification: JustificationType.deserialize(payload) }
    }
    assert(kind === EntryKind.block, 'the log holds only kinds that this version writes')
    const { header, justification, body }: LoggedBlock = LoggedBlockType.deserialize(payload)
    const hash = bytesToHex(blockHash(header))
    bodies.set(hash, body)
    return { type: 'block', block: { hash, header, justification } }
  })
  return { records, bodies }
}
