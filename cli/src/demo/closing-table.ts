import { addressOf, bytesToHex, fromHex } from '@ioex/chain/bytes'
import type { LocalNetwork } from '../devnet/local-network.ts'
import { formatIoex } from '../output/amount.ts'
import { formatByteSize } from '../output/byte-size.ts'
import type { Output } from '../output/output.ts'
import { factsText } from '../output/table.ts'
import type { NodeFigures } from './ledger-figures.ts'
import type { DemoResult } from './run-demo.ts'
import type { Settlement } from './story.ts'

/** Who earned what, who lost what, and the sums that consensus checked. */
export function closingTable(
  output: Output,
  network: LocalNetwork,
  result: DemoResult,
  settlement: Settlement,
): string {
  const rows = [...network.nodesOf('peer'), ...network.nodesOf('bootstrap')].map((node) => {
    const figures = settlement.figures.get(nodeAddressOf(node.info))
    return rowOf(node.name, node.state, figures)
  })
  const table = output.table(
    [
      { head: 'node' },
      { head: 'state' },
      { head: 'proofs', align: 'right' },
      { head: 'forfeits', align: 'right' },
      { head: 'fees', align: 'right' },
      { head: 'paid', align: 'right' },
      { head: 'held', align: 'right' },
      { head: 'subsidy', align: 'right' },
    ],
    rows,
  )
  const facts = factsText([
    ['file', `${result.file}, ${formatByteSize(result.bytes)}, restored byte for byte`],
    ['receipts', `${result.receipts.storage} storage, ${result.receipts.relay} relay`],
    [
      'paid',
      `${formatIoex(BigInt(result.paid))}, held beside it ${formatIoex(BigInt(result.held))}`,
    ],
    ['burned', formatIoex(BigInt(result.burned))],
    ['minted', `${formatIoex(BigInt(result.minted))}, never above half of what burned`],
    ['anchor', `epoch ${result.anchor.epoch} in main block ${result.anchor.mainHeight}`],
    ['audit', result.audit],
    ['time', `${result.seconds} s`],
  ])
  return `\n${table}\n\n${facts}`
}

function rowOf(name: string, state: string, figures: NodeFigures | undefined): string[] {
  const count = (value: number | undefined) => String(value ?? 0)
  const money = (value: bigint | undefined) => formatIoex(value ?? 0n)
  return [
    name,
    state === 'ready' ? 'running' : state,
    count(figures?.proofs),
    count(figures?.forfeits),
    money(figures?.fees),
    money(figures?.paid),
    money(figures?.held),
    money(figures?.subsidy),
  ]
}

/** A peer tells its node key when it is ready, a bootstrap node too. */
function nodeAddressOf(info: Readonly<Record<string, unknown>>): string {
  const key = info.nodeKey
  return typeof key === 'string' ? bytesToHex(addressOf(fromHex(key))) : ''
}
