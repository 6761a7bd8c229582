import type { ReceiptView } from '@ioex/rpc/contract'
import { type Command, Option } from 'commander'
import type { ListOptions } from '../commands/receipts.ts'
import { countArgument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
Examples:
  $ ioex receipts ls --type storage --epoch 12
  $ ioex receipts ls --node lioex1… --limit 200
  $ ioex receipts ls --type forfeit --from 10 --to 20
  $ ioex receipts show 4f0c…
  $ ioex receipts show 4f0c… --explain       how a forfeit or an eviction came about
`

/** Every kind of receipt, in the ledger's order; the compiler counts them. */
const RECEIPT_TYPES = Object.keys({
  proof: true,
  storage: true,
  relay: true,
  forfeit: true,
  eviction: true,
  reward: true,
  anchor: true,
  close: true,
  fee: true,
  creation: true,
  payout: true,
  contractEnd: true,
  deposit: true,
  withdrawal: true,
  peg: true,
  refill: true,
  repair: true,
  delegateFee: true,
  slash: true,
  stake: true,
  unregister: true,
} satisfies Record<ReceiptView['type'], true>)

const work = () => import('../commands/receipts.ts')

/** receipts ls | show: what the chain wrote down about every payment, proof and punishment. */
export function registerReceipts(program: Command): void {
  const receipts = program
    .command('receipts')
    .description('what the chain wrote down: proofs, payments, forfeits, anchors')
  receipts
    .command('ls')
    .description('list receipts, oldest first')
    .option('--node <id>', 'of a node: its index or address')
    .option('--rail <index>', 'of a rail', countArgument)
    .option('--contract <index>', 'of a contract', countArgument)
    .option('--epoch <epoch>', 'booked in this epoch', countArgument)
    .option('--from <epoch>', 'booked in this epoch or later', countArgument)
    .option('--to <epoch>', 'booked in this epoch or before', countArgument)
    .addOption(new Option('--type <type>', 'of one kind').choices(RECEIPT_TYPES))
    .option('--limit <count>', 'at most so many', countArgument, 50)
    .action(async (options: ListOptions, command: Command) => {
      await (await work()).listReceipts(await contextOf(command), options)
    })
  receipts
    .command('show')
    .description('show one receipt, with the proof that its block holds it')
    .argument('<id>', 'id of the receipt, 64 hex digits')
    .option('--explain', 'seed, draws, leaves and heights behind a forfeit or an eviction')
    .action(async (id: string, { explain = false }: { explain?: boolean }, command: Command) => {
      await (await work()).showReceipt(await contextOf(command), id, explain)
    })
  addExamples(receipts, EXAMPLES)
}
