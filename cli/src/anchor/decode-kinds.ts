export const DECODE_KINDS = [
  'header',
  'auxpow',
  'side-auxpow',
  'transaction',
  'block',
  'merkle-block',
  'confirm',
  'address',
] as const
export type DecodeKind = (typeof DECODE_KINDS)[number]

export interface DecodeFlags {
  readonly against?: string
  readonly genesis?: string
  readonly side?: boolean
}
