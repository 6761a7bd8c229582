import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { byteList } from '@ioex/chain/types'

const CODE_BYTES_MAX = 64
const MESSAGE_BYTES_MAX = 512

/** Why a peer does not do what it was asked: a stable code and a sentence. */
export const RefusalType = new ContainerType({
  code: byteList(CODE_BYTES_MAX),
  message: byteList(MESSAGE_BYTES_MAX),
})
export type RefusalBytes = ValueOf<typeof RefusalType>
export const REFUSAL_BYTES_MAX = CODE_BYTES_MAX + MESSAGE_BYTES_MAX + 8

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Texts that are too long are cut. */
export function refusalBytes(code: string, message: string): RefusalBytes {
  return {
    code: encoder.encode(code).slice(0, CODE_BYTES_MAX),
    message: encoder.encode(message).slice(0, MESSAGE_BYTES_MAX),
  }
}

export function refusalText({ code, message }: RefusalBytes): { code: string; message: string } {
  return { code: decoder.decode(code), message: decoder.decode(message) }
}
