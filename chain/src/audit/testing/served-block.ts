import { BlockBodyType } from '../../types/block.ts'
import { CertificateType, HeaderType, JustificationType } from '../../types/consensus-objects.ts'
import type { ServedBlock } from '../audited-node.ts'
import type { ExportRecord } from '../export-format.ts'

/** A block in the form in which a node serves it. */
export function encodeServed({ block, justification, certificate }: ExportRecord): ServedBlock {
  return {
    header: HeaderType.serialize(block.header),
    body: BlockBodyType.serialize(block.body),
    justification: JustificationType.serialize(justification),
    certificate: certificate && CertificateType.serialize(certificate),
  }
}
