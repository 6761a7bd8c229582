import type { Type } from '@chainsafe/ssz'
import { decodeCanonical } from '@ioex/chain/bytes'
import { FrameKind } from './frame-connection.ts'
import { ANSWER_BYTES_MAX, encodeRequest, refusalError, type Request } from './messages.ts'
import type { SecureChannel } from './secure-channel.ts'
import { TransferError } from './transfer-error.ts'

/** Sends a request; what comes back is read with `answer`. */
export async function ask(channel: SecureChannel, request: Request): Promise<void> {
  await channel.frames.send(FrameKind.request, encodeRequest(request))
}

/** The next frame as an answer of this type. Throws PEER_REFUSED with the peer's code. */
export async function answer<T>(channel: SecureChannel, type: Type<T>): Promise<T> {
  const frame = await channel.frames.receive()
  if (frame === undefined) throw hungUp()
  if (frame.kind === FrameKind.refusal) throw refusalError(frame.payload)
  if (frame.kind !== FrameKind.answer) throw unexpected()
  const decoded = decodeCanonical(type, frame.payload, ANSWER_BYTES_MAX)
  if (!decoded.ok) throw new TransferError('PEER_PROTOCOL', decoded.fault.message)
  return decoded.value
}

export function hungUp(): TransferError {
  return new TransferError('CHANNEL_CLOSED', 'the peer hung up')
}

export function unexpected(): TransferError {
  return new TransferError('PEER_PROTOCOL', 'the peer sent something unexpected')
}
