import { addressOf, bytesEqual } from '@ioex/chain/bytes'
import { FrameKind } from './frame-connection.ts'
import { FillAnswerType, type Grant } from './messages.ts'
import { isOwner, type ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import type { SecureChannel } from './secure-channel.ts'

/** Takes the payer's permission for a slot that was uploaded, and fills it on the chain. */
export async function serveGrant(
  context: ProviderContext,
  channel: SecureChannel,
  request: Grant,
): Promise<void> {
  const { store, nodeAddress, price, unitPrice } = context
  const { grant, payerKey } = request
  if (!isOwner(channel, addressOf(payerKey))) {
    throw new Refusal('NOT_PAYER', 'the grant is not from the owner of this channel')
  }
  if (!bytesEqual(grant.node, nodeAddress)) {
    throw new Refusal('GRANT_OTHER_NODE', 'the slot was granted to another node')
  }
  if (grant.price < price || grant.unitPrice < unitPrice) {
    const message = `this node asks ${price} units per GiB-epoch and ${unitPrice} per GiB moved`
    throw new Refusal('PRICE_TOO_LOW', message)
  }
  const record = store.find(grant)
  if (!record || record.leaves !== grant.leaves || !bytesEqual(record.root, grant.root)) {
    throw new Refusal('SLOT_UNKNOWN', 'this node does not store the granted bytes: upload them')
  }
  const submitted = await context.submitFill(request)
  await channel.frames.send(FrameKind.answer, FillAnswerType.serialize(submitted))
}
