import { FrameKind } from './frame-connection.ts'
import { type Deliver, DoneAnswerType, ResumeAnswerType } from './messages.ts'
import type { ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import type { SecureChannel } from './secure-channel.ts'
import { TransferError } from './transfer-error.ts'

/** Takes a file from a friend into the inbox; strangers are refused. */
export async function serveDeliver(
  { inbox, counters, logger }: ProviderContext,
  { frames, peerKey }: SecureChannel,
  request: Deliver,
): Promise<void> {
  if (!inbox.isFriend(peerKey)) {
    throw new Refusal('NOT_FRIEND', 'this node takes files from its friends only')
  }
  const file = await inbox.receive(nameOf(request.name), request.size, request.sha256)
  try {
    const { receivedBytes } = file
    await frames.send(FrameKind.answer, ResumeAnswerType.serialize({ receivedBytes }))
    for (;;) {
      const frame = await frames.receive()
      if (frame === undefined) throw new TransferError('CHANNEL_CLOSED', 'the delivery broke off')
      if (frame.kind === FrameKind.end) break
      if (frame.kind !== FrameKind.data) {
        throw new TransferError('PEER_PROTOCOL', 'the peer sent something else than the file')
      }
      counters.bytesIn += frame.payload.length
      await file.write(frame.payload)
    }
    const path = await file.finish()
    counters.filesReceived += 1
    logger.info({ path, bytes: request.size }, 'file delivered')
    await frames.send(FrameKind.answer, DoneAnswerType.serialize({ bytes: request.size }))
  } finally {
    await file.suspend()
  }
}

function nameOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Refusal('FILE_NAME', 'the file name is not UTF-8')
  }
}
