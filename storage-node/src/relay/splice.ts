import type { Duplex } from 'node:stream'
import type { RailMeter } from '../transfer/rail-meter.ts'
import { drained } from '../transfer/stream-drain.ts'

/** Bytes forwarded at once: small against the first step, so that a pause comes in time. */
const PIECE_BYTES = 64 * 1024

export interface SpliceOptions {
  readonly meter: RailMeter
  readonly signal: AbortSignal
  onBytes(bytes: number): void
}

/**
 * Forwards bytes both ways until both sides ended, counting every byte of the payer's leg
 * before it is forwarded. Reads no further than the slower side takes and the meter allows.
 * Throws what the meter throws, and stream errors.
 */
export async function splice(payer: Duplex, far: Duplex, options: SpliceOptions): Promise<void> {
  const destroyBoth = () => {
    payer.destroy()
    far.destroy()
  }
  options.signal.addEventListener('abort', destroyBoth, { once: true })
  try {
    await Promise.all([forward(payer, far, options), forward(far, payer, options)])
  } finally {
    options.signal.removeEventListener('abort', destroyBoth)
    destroyBoth()
  }
}

async function forward(from: Duplex, to: Duplex, options: SpliceOptions): Promise<void> {
  const { meter, signal, onBytes } = options
  try {
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      const bytes = chunk as Uint8Array
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES)
        await meter.spend(piece.length, signal)
        onBytes(piece.length)
        if (!to.write(piece)) await drained(to)
      }
    }
    to.end()
  } catch (error) {
    // The other direction must not wait for a side that failed.
    from.destroy()
    to.destroy()
    throw error
  }
}
