import { readNodeArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { formatIoex } from '../output/amount.ts'
import { readWallet } from '../wallet/wallet-file.ts'
import { closeRail, type RailView, readRails } from './close-rail.ts'
import { ownNodes } from './rewards.ts'

interface Collected {
  /** Rails whose close was asked for, to be settled from `settlesFrom` on. */
  readonly asked: number[]
  readonly settled: number[]
  /** Units of held pay that settling released. */
  released: bigint
  readonly waiting: { readonly rail: number; readonly code: string }[]
  /** Rails that run, and units that stay held for them. */
  running: number
  held: bigint
  /** First epoch in which a running rail may be closed by anybody. */
  nextEpoch: number | null
}

/**
 * Closes what is over of a node's rails (PROTOCOL 6.7), for pay that was held: its payer may never
 * come back to do it. Each rail takes two steps with the proof window between them.
 */
export async function collectHeldPay(
  context: CommandContext,
  node: string | undefined,
): Promise<void> {
  const client = await context.client()
  const nodes = node === undefined ? await ownNodes(context, client) : [readNodeArgument(node)]
  const { owner } = await readWallet(context.settings.data, context.passphrase)
  const { epoch } = await client.call('chain_getStatus', {})
  const { graceEpochs, proofWindowEpochs } = await client.call('chain_getParams', {})
  const done: Collected = {
    asked: [],
    settled: [],
    released: 0n,
    waiting: [],
    running: 0,
    held: 0n,
    nextEpoch: null,
  }
  for (const one of nodes) {
    for (const rail of await readRails(client, { node: one })) {
      const isAsked = askEpochOf(rail) !== null
      const from = (rail.end ?? Number.POSITIVE_INFINITY) + Number(graceEpochs)
      if (!isAsked && epoch < from) {
        done.running += 1
        done.held += heldOf(rail)
        done.nextEpoch = Math.min(done.nextEpoch ?? from, from)
        continue
      }
      const code = await closeRail(client, owner, rail)
      if (code !== undefined) done.waiting.push({ rail: rail.index, code })
      else if (!isAsked) done.asked.push(rail.index)
      else {
        done.settled.push(rail.index)
        done.released += heldOf(rail)
      }
    }
  }
  const settlesFrom = done.asked.length > 0 ? epoch + Number(proofWindowEpochs) : null
  context.output.result({ ...done, settlesFrom }, () => textOf(done, settlesFrom))
}

function askEpochOf({ record }: RailView): number | null {
  return (record as { readonly askEpoch: number | null }).askEpoch
}

function heldOf({ settled }: RailView): bigint {
  return BigInt(settled.held) - BigInt(settled.forfeited)
}

function textOf(done: Collected, settlesFrom: number | null): string {
  const { asked, settled, released, waiting, running, held, nextEpoch } = done
  return [
    `${settled.length} rails settled, ${formatIoex(released)} of held pay released.`,
    ...(settlesFrom === null
      ? []
      : [`${asked.length} rails asked: give the command again from epoch ${settlesFrom} on.`]),
    ...(waiting.length === 0
      ? []
      : [`${waiting.length} rails wait for a challenge to be resolved: try again in some epochs.`]),
    ...(running === 0
      ? []
      : [
          `${running} rails run, ${formatIoex(held)} held; the first is over in epoch ${nextEpoch}.`,
        ]),
  ].join('\n')
}
