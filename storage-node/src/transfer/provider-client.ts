import { createHash } from 'node:crypto'
import { answer, ask, unexpected } from './channel-request.ts'
import { FrameKind } from './frame-connection.ts'
import {
  DATA_PLANE_VERSION,
  type Deliver,
  DoneAnswerType,
  FillAnswerType,
  type Grant,
  OfferAnswerType,
  PingAnswerType,
  type PutSlot,
  refusalError,
  RequestKind,
  ResumeAnswerType,
  RootAnswerType,
} from './messages.ts'
import type { SecureChannel } from './secure-channel.ts'

/** Asks whether the peer is there; gives the round-trip time in milliseconds. */
export async function ping(channel: SecureChannel): Promise<number> {
  const start = performance.now()
  await ask(channel, { selector: RequestKind.ping, value: null })
  await answer(channel, PingAnswerType)
  return performance.now() - start
}

/** What the peer asks and has free now. */
export async function queryOffer(channel: SecureChannel) {
  await ask(channel, { selector: RequestKind.offer, value: { version: DATA_PLANE_VERSION } })
  return answer(channel, OfferAnswerType)
}

/** A slot on its way to a provider. */
export interface SlotUpload {
  /** Bytes that the provider has from an earlier attempt; a multiple of 65,536 or all. */
  readonly receivedBytes: number
  /** Sends the next whole blocks; only the slot's last one may be shorter. */
  write(...blocks: readonly Uint8Array[]): Promise<void>
  /** Ends the slot; gives the root that the provider computed. */
  finish(): Promise<Uint8Array>
}

export async function beginPutSlot(channel: SecureChannel, slot: PutSlot): Promise<SlotUpload> {
  await ask(channel, { selector: RequestKind.putSlot, value: slot })
  const { receivedBytes } = await answer(channel, ResumeAnswerType)
  return {
    receivedBytes,
    write: (...blocks) => sendBody(channel, blocks),
    finish: async () => {
      await channel.frames.send(FrameKind.end)
      return (await answer(channel, RootAnswerType)).root
    },
  }
}

/** Sends a piece of a body; where the peer has hung up, says what it refused. */
async function sendBody(channel: SecureChannel, parts: readonly Uint8Array[]): Promise<void> {
  try {
    await channel.frames.send(FrameKind.data, ...parts)
  } catch (error) {
    const frame = await channel.frames.receive().catch(() => undefined)
    throw frame?.kind === FrameKind.refusal ? refusalError(frame.payload) : error
  }
}

/** Gives the provider the payer's permission; it answers with its fill transaction. */
export async function grantSlot(channel: SecureChannel, grant: Grant) {
  await ask(channel, { selector: RequestKind.grant, value: grant })
  return answer(channel, FillAnswerType)
}

/**
 * Sends a file into the peer's inbox, from where an earlier attempt stopped. `open` gives the
 * file's bytes from an offset on.
 */
export async function deliverFile(
  channel: SecureChannel,
  file: Deliver,
  open: (offset: number) => AsyncIterable<Uint8Array>,
  onSent: (bytes: number) => void = () => {},
): Promise<void> {
  await ask(channel, { selector: RequestKind.deliver, value: file })
  const { receivedBytes } = await answer(channel, ResumeAnswerType)
  if (receivedBytes > file.size) throw unexpected()
  let sent = receivedBytes
  onSent(sent)
  for await (const chunk of open(receivedBytes)) {
    await sendBody(channel, [chunk])
    sent += chunk.length
    onSent(sent)
  }
  await channel.frames.send(FrameKind.end)
  await answer(channel, DoneAnswerType)
}

/** SHA-256 and length of a stream of bytes. */
export async function hashOf(
  source: AsyncIterable<Uint8Array>,
): Promise<{ sha256: Uint8Array; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of source) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { sha256: new Uint8Array(hash.digest()), bytes }
}
