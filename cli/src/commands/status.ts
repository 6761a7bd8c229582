import { formatAddress, fromHex } from '@ioex/chain/bytes'
import type { ContractStatus, FileStatus } from '@ioex/storage-node/repair'
import type { CommandContext } from '../command-context.ts'
import { formatAmount, formatIoex } from '../output/amount.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { factsText } from '../output/table.ts'
import { openStorage } from '../storage/open-storage.ts'

/** Shows what the chain knows of a file. */
export async function status(context: CommandContext, path: string): Promise<void> {
  const { client, close } = await openStorage(context)
  try {
    const found = await client.status(path)
    context.output.result(statusJson(context, found), () => statusText(context, found))
  } finally {
    await close()
  }
}

function statusJson({ addressPrefix }: CommandContext, status: FileStatus) {
  const slotJson = (slot: ContractStatus['slots'][number]) => ({
    ...slot,
    owner: slot.owner && formatAddress(fromHex(slot.owner), addressPrefix),
    paid: slot.paid.toString(),
  })
  return {
    ...status,
    contracts: status.contracts.map((contract) => ({
      ...contract,
      pot: contract.pot.toString(),
      slots: contract.slots.map(slotJson),
    })),
  }
}

function statusText({ output }: CommandContext, status: FileStatus): string {
  const facts = factsText([
    ['file', `${status.path}, ${formatByteSize(status.size)}`],
    ['health', status.health],
    ['paid', `before epoch ${status.nextDue}: ${status.epochsLeft} more epochs`],
    [
      'next due',
      `topUp before epoch ${status.nextDue}; peers delete from ${status.deletedFrom} on`,
    ],
  ])
  const tables = status.contracts.map((contract) => {
    const { contract: index, k, n, live, health, pot, closing } = contract
    const state = closing ? 'closing' : health
    const head = `contract ${index}: any ${k} of ${n}, ${live} live, ${state}, ${formatIoex(pot)} for repair`
    return `${head}\n${slotTable(output, contract)}`
  })
  return [facts, ...tables].join('\n\n')
}

function slotTable(output: CommandContext['output'], { slots }: ContractStatus): string {
  const right = (head: string) => ({ head, align: 'right' as const })
  return output.table(
    [
      right('slot'),
      { head: 'state' },
      { head: 'peer' },
      right('refills'),
      right('strikes'),
      right('proven to'),
      right('paid before'),
      right('paid'),
    ],
    slots.map((slot) => [
      String(slot.slot),
      slot.open === undefined ? slot.state : `${slot.state}, open`,
      slot.node?.slice(0, 12) ?? '',
      String(slot.refills),
      String(slot.strikes ?? ''),
      String(slot.provenTo ?? ''),
      String(slot.end ?? ''),
      formatAmount(slot.paid),
    ]),
  )
}
