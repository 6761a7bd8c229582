import { decodeCanonical, parseHex, type Result } from '@ioex/chain/bytes'
import { type Certificate, CertificateType, type Header, HeaderType } from '@ioex/chain/types'

const HEADER_BYTES_MAX = 1024
const CERTIFICATE_BYTES_MAX = 8192

export function decodeHeader(hex: string): Result<Header> {
  const bytes = parseHex(hex, HEADER_BYTES_MAX)
  return bytes.ok ? decodeCanonical(HeaderType, bytes.value, HEADER_BYTES_MAX) : bytes
}

export function decodeCertificate(hex: string): Result<Certificate> {
  const bytes = parseHex(hex, CERTIFICATE_BYTES_MAX)
  return bytes.ok ? decodeCanonical(CertificateType, bytes.value, CERTIFICATE_BYTES_MAX) : bytes
}
