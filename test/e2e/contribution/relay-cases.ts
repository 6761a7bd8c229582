import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { addressOf, fromHex, publicKeyOf } from '@ioex/chain/bytes'
import { PayloadKind, ReceiptKind, type SignedVoucher } from '@ioex/chain/types'
import { refusalCode, sendAsNode } from '@ioex/storage-node/node'
import { openRelayedChannel, PeerNetwork } from '@ioex/storage-node/relay'
import {
  acceptSecureChannel,
  createChannelCredentials,
  FrameKind,
  openRailLedger,
  RailPayer,
  signVoucher,
} from '@ioex/storage-node/transfer'
import type { ChildNode } from '../../../cli/src/devnet/child-node.ts'
import { readOrCreateKey } from '../../../cli/src/nodes/key-file.ts'
import {
  RELAY_STOP_BYTES,
  RELAY_STOP_PROTOCOL,
  RelayStopType,
} from '../../../storage-node/src/relay/relay-messages.ts'
import { readMessage } from '../../../storage-node/src/transfer/length-prefixed.ts'
import { until } from '../network-harness.ts'
import { type Cast, silent } from './story.ts'

/** The lock pays far more than what is signed for: only signatures bound what a relay gets. */
const LOCK_UNITS = 100_000_000n
export const RELAY_PRICE = 50_000_000n
const SIGNED_KIB_MIN = 1024
const CHUNK_BYTES = 64 * 1024

/** A payer that signed for so much and then no more. */
export interface StoppedPayer {
  readonly rail: number
  readonly signedKib: number
  /** The most that the relay may have gone ahead, bytes. */
  readonly stepBytes: number
  /** What the relay carried on the payer's leg, and how many sessions it cut. */
  readonly carriedBytes: number
  readonly cuts: number
  /** The newest voucher, as the relay has it. */
  readonly voucher: SignedVoucher
}

interface RelayFigures {
  readonly relay: { readonly bytesTotal: number; readonly cutTotal: number }
  readonly redeems: { readonly refused: number }
}

/** A client from production modules sends over the relay, and stops signing on the way. */
export async function stopSigning(cast: Cast, relay: ChildNode): Promise<StoppedPayer> {
  const { chain, ownerKey, owner } = cast
  const relayKey = fromHex(relay.info.nodeKey as string)
  const terms = { lockUnits: LOCK_UNITS, unitPrice: RELAY_PRICE, reservationPrice: 0n }
  const value = { node: addressOf(relayKey), ...terms }
  const { receipts } = await owner.send({ selector: PayloadKind.openRelay, value })
  const made = receipts.find(({ body }) => body.selector === ReceiptKind.creation)?.body.value
  const { index, generation } = made as { index: number; generation: number }
  const rail = { chainId: chain.chainId, rail: index, generation, ownerKey }
  const [from, to] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))]
  const bootstrap = relay.info.multiaddrs as string[]
  const source = await PeerNetwork.start({ ...rail, nodeKey: from, bootstrap, logger: silent })
  const sink = await PeerNetwork.start({ ...rail, nodeKey: to, bootstrap, logger: silent })
  try {
    await Promise.all([source.linkedBootstrap(), sink.linkedBootstrap()])
    await swallow(cast, sink, to)
    const before = (await relay.ask('status')) as RelayFigures
    const payer = new RailPayer(rail)
    const owe = payer.owe.bind(payer)
    const stopped = Object.assign(payer, {
      owe: (bytes: number) => (payer.signedKib < SIGNED_KIB_MIN ? owe(bytes) : undefined),
      end: () => undefined,
    })
    const identity = { chainId: chain.chainId, nodeKey: from, ownerKey }
    const destination = publicKeyOf(to)
    const path = { network: source, relay: relayKey, destination, payer: stopped, identity }
    const { channel } = await openRelayedChannel(path)
    const { stepBytes } = await sendUntilCut(channel.frames, payer)
    const figures = await until('the relay to cut', async () => {
      const after = (await relay.ask('status')) as RelayFigures
      return after.relay.cutTotal > before.relay.cutTotal && after
    })
    const carriedBytes = figures.relay.bytesTotal - before.relay.bytesTotal
    const cuts = figures.relay.cutTotal - before.relay.cutTotal
    const { signedKib } = payer
    const voucher = signVoucher(rail, signedKib)
    return { rail: index, signedKib, stepBytes, carriedBytes, cuts, voucher }
  } finally {
    await source.stop()
    await sink.stop()
  }
}

async function sendUntilCut(
  frames: { send(kind: number, payload: Uint8Array): Promise<void> },
  payer: RailPayer,
): Promise<{ stepBytes: number }> {
  const chunk = new Uint8Array(randomBytes(CHUNK_BYTES))
  for (;;) {
    try {
      await frames.send(FrameKind.data, chunk)
    } catch {
      return { stepBytes: payer.stepBytes }
    }
  }
}

/** Takes everything that a relay brings, and acknowledges it. */
async function swallow({ chain }: Cast, sink: PeerNetwork, nodeKey: Uint8Array): Promise<void> {
  const credentials = await createChannelCredentials()
  await sink.handle(RELAY_STOP_PROTOCOL, async (stream) => {
    await readMessage(stream, RelayStopType, { bytesMax: RELAY_STOP_BYTES, timeoutMs: 10_000 })
    const identity = { chainId: chain.chainId, nodeKey }
    const options = { credentials, acknowledges: true }
    const { frames } = await acceptSecureChannel(stream, identity, options)
    try {
      while (await frames.receive());
    } catch {
      // Cut, as it should be.
    }
  })
}

/** What the chain answers to a relay that claims more than was signed, by way of claiming. */
export async function overclaim(
  { chain, network }: Cast,
  relay: ChildNode,
  { rail, signedKib, voucher }: StoppedPayer,
): Promise<Record<string, string | undefined>> {
  const nodeKey = await readOrCreateKey(join(network.options.data, relay.name, 'keys', 'node.key'))
  const more = { ...voucher.voucher, kib: signedKib + 1 }
  const own = { chainId: chain.chainId, rail, generation: more.generation, ownerKey: nodeKey }
  const claims: Record<string, SignedVoucher> = {
    'a counter raised under the old signature': { ...voucher, voucher: more },
    'a voucher that the relay signed itself': signVoucher(own, signedKib + 1),
    'its own signature under the name of the payer': {
      ...signVoucher(own, signedKib + 1),
      payerKey: voucher.payerKey,
    },
    'the same voucher again': voucher,
  }
  const answers: Record<string, string | undefined> = {}
  for (const [name, claim] of Object.entries(claims)) {
    const redeem = { rails: [rail], vouchers: [claim], least: 0n }
    const payload = { selector: PayloadKind.redeem, value: redeem } as const
    answers[name] = await sendAsNode(chain, nodeKey, payload).then(
      () => undefined,
      (error: unknown) => refusalCode(error),
    )
  }
  return answers
}

/** Puts a voucher nobody signed into the relay's own store, and lets the relay redeem it. */
export async function poison(
  { network }: Cast,
  relay: ChildNode,
  { rail, signedKib, voucher }: StoppedPayer,
): Promise<{ sent: unknown; refused: number }> {
  await relay.stop()
  const ledger = await openRailLedger(join(network.options.data, relay.name, 'vouchers'))
  const forged = { ...voucher, voucher: { ...voucher.voucher, kib: signedKib + 100_000 } }
  const usedBytes = (signedKib + 100_000) * 1024
  const { generation } = voucher.voucher
  await ledger.put({ rail, generation }, { usedBytes, newest: [forged] })
  await ledger.close()
  await relay.start()
  const sent = await relay.ask('redeem')
  const { redeems } = (await relay.ask('status')) as RelayFigures
  return { sent, refused: redeems.refused }
}
