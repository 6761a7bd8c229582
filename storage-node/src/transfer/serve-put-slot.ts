import { bytesEqual, LEAF_BYTES } from '@ioex/chain/bytes'
import { NONE, ZERO_HASH } from '@ioex/chain/types'
import { onceKnown } from '../node/chain-lag.ts'
import type { SlotReceiver } from '../blobs/slot-receiver.ts'
import { FrameKind } from './frame-connection.ts'
import { type PutSlot, ResumeAnswerType, RootAnswerType } from './messages.ts'
import { isOwner, type ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import type { SecureChannel } from './secure-channel.ts'
import { TransferError } from './transfer-error.ts'

/**
 * Takes a slot: checks that the contract is there, that the sender is its payer and that the
 * price is right, says what it has already, hashes while it writes, answers the root.
 */
export async function servePutSlot(
  context: ProviderContext,
  channel: SecureChannel,
  request: PutSlot,
): Promise<void> {
  const { store, chain } = context
  if (!context.takesSlots()) throw new Refusal('LEAVING', 'this node has given notice')
  await checkContract(context, channel, request)
  const known = store.find(request)
  if (known) {
    if (known.leaves !== request.leaves) {
      throw new Refusal('SLOT_SIZE', 'this slot is stored already, with another size')
    }
    await answerReceived(channel, known.leaves * LEAF_BYTES)
    const frame = await channel.frames.receive()
    if (frame?.kind !== FrameKind.end) throw unexpected()
    await channel.frames.send(FrameKind.answer, RootAnswerType.serialize({ root: known.root }))
    return
  }
  const receiver = await store.receive(request, request.leaves)
  try {
    await answerReceived(channel, receiver.receivedBytes)
    await receiveAll(context, channel, receiver)
    const { epoch } = await chain.head()
    const { root } = await receiver.finish(epoch)
    context.counters.slotsReceived += 1
    await channel.frames.send(FrameKind.answer, RootAnswerType.serialize({ root }))
  } finally {
    await receiver.suspend()
  }
}

async function receiveAll(
  { counters }: ProviderContext,
  { frames }: SecureChannel,
  receiver: SlotReceiver,
): Promise<void> {
  for (;;) {
    const frame = await frames.receive()
    if (frame === undefined) throw new TransferError('CHANNEL_CLOSED', 'the upload was broken off')
    if (frame.kind === FrameKind.end) return
    if (frame.kind !== FrameKind.data) throw unexpected()
    counters.bytesIn += frame.payload.length
    await receiver.write(frame.payload)
  }
}

function answerReceived({ frames }: SecureChannel, receivedBytes: number): Promise<void> {
  return frames.send(FrameKind.answer, ResumeAnswerType.serialize({ receivedBytes }))
}

function unexpected(): TransferError {
  return new TransferError('PEER_PROTOCOL', 'the peer sent something else than the slot')
}

/** Space is given only to payers and delegates of open contracts that this node's price fits. */
async function checkContract(
  { chain, price, unitPrice }: ProviderContext,
  channel: SecureChannel,
  request: PutSlot,
): Promise<void> {
  const contract = await onceKnown(chain, async () => {
    const record = await chain.contract(request.contract)
    return record?.live && bytesEqual(record.salt, request.salt) ? record : undefined
  })
  if (!contract) throw new Refusal('CONTRACT_UNKNOWN', 'there is no such contract')
  // A slot that was filled once may be brought again by the contract's delegate (PROTOCOL 5.2).
  const isRefill = !bytesEqual(contract.rails[request.slot]?.root ?? ZERO_HASH, ZERO_HASH)
  if (!isOwner(channel, contract.payer) && !(isRefill && isOwner(channel, contract.delegate))) {
    throw new Refusal('NOT_PAYER', 'only the payer of the contract may upload its slots')
  }
  const { epoch } = await chain.head()
  const deadline = contract.openEpoch + chain.params.fillDeadlineEpochs
  if (contract.askEpoch !== NONE || (!contract.active && epoch >= deadline)) {
    throw new Refusal('CONTRACT_CLOSING', 'the contract takes no slots any more')
  }
  if (request.slot >= contract.n) {
    throw new Refusal('SLOT_UNKNOWN', `the contract has ${contract.n} slots`)
  }
  if (request.leaves < 1 || request.leaves > contract.maxLeaves) {
    throw new Refusal('SLOT_SIZE', `a slot of this contract has 1 to ${contract.maxLeaves} leaves`)
  }
  if (contract.priceCap < price || contract.unitPriceCap < unitPrice) {
    const message = `this node asks ${price} units per GiB-epoch and ${unitPrice} per GiB moved`
    throw new Refusal('PRICE_TOO_LOW', message)
  }
}
