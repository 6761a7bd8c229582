import { bytesEqual } from '@ioex/chain/bytes'
import type { Rail, SignedVoucher } from '@ioex/chain/types'
import { NONE } from '@ioex/chain/types'
import { readMessage, writeMessage } from '../transfer/length-prefixed.ts'
import { type RefusalBytes, refusalText } from '../transfer/refusal-codec.ts'
import type { ReservationReading } from '../transfer/reservation-payer.ts'
import { TransferError } from '../transfer/transfer-error.ts'
import type { ControlPlane } from './control-plane.ts'
import {
  RESERVE_ANSWER_BYTES_MAX,
  RESERVE_PROTOCOL,
  ReserveAnswerType,
  ReserveRequestType,
} from './reservation-messages.ts'

/** A relay may wait for heads until it sees a rail that was opened just now. */
const ANSWER_MS = 15_000

/**
 * Asks a connected relay to keep a link, pays for it, or ends it. Throws PEER_REFUSED with the
 * relay's code, PEER_UNREACHABLE, PEER_SILENT.
 */
export async function reserveLink(
  controlPlane: ControlPlane,
  relay: Uint8Array,
  voucher: SignedVoucher,
  ends = false,
): Promise<ReservationReading> {
  const stream = await controlPlane.openStream(relay, RESERVE_PROTOCOL)
  try {
    const { rail, generation } = voucher.voucher
    await writeMessage(stream, ReserveRequestType, { rail, generation, voucher, ends })
    const bounds = { bytesMax: RESERVE_ANSWER_BYTES_MAX, timeoutMs: ANSWER_MS }
    const answer = await readMessage(stream, ReserveAnswerType, bounds)
    if (answer.selector === 0) {
      const { units, epoch, newest } = answer.value as Reserved
      return { units, epoch, newest: newest[0] }
    }
    const { code, message } = refusalText(answer.value as RefusalBytes)
    throw new TransferError('PEER_REFUSED', `the relay refused: ${message}`, { refusal: code })
  } finally {
    stream.destroy()
  }
}

type Reserved = { units: number; epoch: number; newest: SignedVoucher[] }

/**
 * A rail that pays for links and not for traffic: one signer each. Two that count on one voucher
 * would each hold back what the other signed.
 */
export function isReservationRail(rail: Rail, payer: Uint8Array): boolean {
  const isRelayRail = rail.live && rail.contract === NONE && bytesEqual(rail.payer, payer)
  return isRelayRail && rail.unitPrice === 0n && rail.reservationPrice > 0n
}
