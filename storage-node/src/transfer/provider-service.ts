import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { BlobError } from '../blobs/blob-error.ts'
import { FrameKind } from './frame-connection.ts'
import {
  decodeRequest,
  OfferAnswerType,
  PingAnswerType,
  type Request,
  RequestKind,
  sendRefusal,
} from './messages.ts'
import type { ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import { acceptSecureChannel, type SecureChannel } from './secure-channel.ts'
import { serveBlocks } from './serve-blocks.ts'
import { serveClaim } from './serve-claim.ts'
import { serveDeliver } from './serve-deliver.ts'
import { serveGrant } from './serve-grant.ts'
import { servePutSlot } from './serve-put-slot.ts'
import { serveRepair } from './serve-repair.ts'
import { isTransferError, reasonOf } from './transfer-error.ts'

/** Connections at once; more are closed before their handshake. */
const CONNECTIONS_MAX = 512

/** Serves the data plane: every connection is a channel, every channel asks one thing at a time. */
export class ProviderService {
  readonly #context: ProviderContext
  readonly #open = new Set<Duplex>()
  readonly #serving = new Set<Promise<void>>()
  #server: Server | undefined
  #stopped = false

  constructor(context: ProviderContext) {
    this.#context = context
  }

  get connectionCount(): number {
    return this.#open.size
  }

  /** Listens for direct connections; gives the port. */
  async listen(host: string, port: number): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket, false))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
    // E.g. too many open files: this connection is lost, the next may come through.
    server.on('error', (error) => {
      this.#context.logger.warn({ reason: reasonOf(error) }, 'connection not accepted')
    })
    this.#server = server
    return (server.address() as AddressInfo).port
  }

  /** Takes over a connection; over a relay its bytes are acknowledged, for the payer's vouchers. */
  accept(stream: Socket | Duplex, relayed: boolean): void {
    if (this.#stopped || this.#open.size >= CONNECTIONS_MAX) {
      stream.destroy()
      return
    }
    // A failing connection shows where it is used; unheard, its error would end the process.
    stream.on('error', () => {})
    this.#open.add(stream)
    const serving = this.#serve(stream, relayed).finally(() => {
      this.#open.delete(stream)
      this.#serving.delete(serving)
    })
    this.#serving.add(serving)
  }

  /** Closes all connections and waits until what they wrote is safe. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#server?.close()
    for (const stream of this.#open) stream.destroy()
    await Promise.all(this.#serving)
  }

  async #serve(stream: Duplex, relayed: boolean): Promise<void> {
    const { identity, credentials, logger } = this.#context
    let channel: SecureChannel | undefined
    try {
      channel = await acceptSecureChannel(stream, identity, { credentials, acknowledges: relayed })
      while (await this.#serveNext(channel));
      await channel.frames.close()
    } catch (error) {
      logger.debug({ reason: reasonOf(error) }, 'connection failed')
      channel?.frames.destroy()
    } finally {
      stream.destroy()
    }
  }

  /** Answers one request; false when the peer hung up. Throws where the channel is spoilt. */
  async #serveNext(channel: SecureChannel): Promise<boolean> {
    const frame = await channel.frames.receive()
    if (frame === undefined) return false
    if (frame.kind !== FrameKind.request) return false
    try {
      await this.#dispatch(channel, decodeRequest(frame.payload))
      return true
    } catch (error) {
      const refusal = refusalOf(error)
      if (!refusal) throw error
      await sendRefusal(channel.frames, refusal.code, refusal.message)
      // What the peer was about to send after its request cannot be told from the next request.
      await channel.frames.close()
      return false
    }
  }

  async #dispatch(channel: SecureChannel, request: Request): Promise<void> {
    const context = this.#context
    const isTransfer =
      request.selector !== RequestKind.ping && request.selector !== RequestKind.offer
    // A slot that arrived is granted whatever the hour.
    if (isTransfer && request.selector !== RequestKind.grant) context.gate.pass()
    switch (request.selector) {
      case RequestKind.ping: {
        const answer = PingAnswerType.serialize({ timeMs: Date.now() })
        return channel.frames.send(FrameKind.answer, answer)
      }
      case RequestKind.offer: {
        const { price, unitPrice, store } = context
        const answer = OfferAnswerType.serialize({ price, unitPrice, freeBytes: store.freeBytes })
        return channel.frames.send(FrameKind.answer, answer)
      }
      case RequestKind.putSlot:
        return servePutSlot(context, channel, request.value)
      case RequestKind.grant:
        return serveGrant(context, channel, request.value)
      case RequestKind.getBlocks:
        return serveBlocks(context, channel, request.value)
      case RequestKind.repairBlocks:
        return serveRepair(context, channel, request.value)
      case RequestKind.claimBlocks:
        return serveClaim(context, channel, request.value)
      case RequestKind.deliver:
        return serveDeliver(context, channel, request.value)
    }
  }
}

/** What the peer is told, where telling helps. */
function refusalOf(error: unknown): { code: string; message: string } | undefined {
  if (error instanceof Refusal || error instanceof BlobError) return error
  if (isTransferError(error, 'LOCK_EXHAUSTED') || isTransferError(error, 'VOUCHER_LATE')) {
    return error
  }
  return undefined
}
