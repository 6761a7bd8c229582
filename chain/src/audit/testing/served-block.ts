import { BlockBodyType } from '../../types/block.ts'
import { CertificateType, HeaderType, JustificationType } from '../../types/consensus-objects.ts'
import { PrunedBodyPartType } from '../../types/pruned-block.ts'
import type { ServedBlock } from '../audited-node.ts'
import type { ExportRecord } from '../export-format.ts'

/** A block in the form in which a node serves it. */
export function encodeServed(record: ExportRecord): ServedBlock {
  const { block, pruned, justification, certificate } = record
  return {
    header: HeaderType.serialize(block.header),
    body: pruned ? PrunedBodyPartType.serialize(pruned) : BlockBodyType.serialize(block.body),
    isPruned: pruned !== undefined,
    justification: JustificationType.serialize(justification),
    certificate: certificate && CertificateType.serialize(certificate),
  }
}
