import type { Command } from 'commander'
import type { AuditFlags } from '../commands/audit.ts'
import { countArgument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'

const EXAMPLES = `
Downloads the chain from the node, then computes every block, receipt and epoch again. Nothing is
believed but the genesis file. With --export DIR the blocks stay in DIR and the next run goes on
from there; an export that lies there already is audited as it is, without any node, unless --rpc
names one. Ends with exit code 1 at the first falsehood.

Nodes may forget the openings of old proofs and fills. Where no node named with --archive has them
either, the audit goes on, lists what it could not check, and ends with exit code 0: nothing is
false. With --strict that too is exit code 1 (AUDIT_INCOMPLETE); in --json see "complete" and
"unchecked".

Examples:
  $ ioex audit
  $ ioex audit --epoch 12 --node lioex1…      the statement, recomputed, beside what the node says
  $ ioex audit --export history --rpc http://127.0.0.1:22666
  $ ioex audit --export history --trust-anchor genesis.json
  $ ioex audit --strict --archive http://archive.example:22666
`

function list(url: string, before: readonly string[] = []): string[] {
  return [...before, url]
}

/** audit: everything recomputed from exported blocks and the genesis file. */
export function registerAudit(program: Command): void {
  program
    .command('audit')
    .description('recompute the chain from its blocks, trusting only the genesis file')
    .option('--export <dir>', 'folder of the exported blocks, written if need be')
    .option('--epoch <epoch>', 'show what was earned in this epoch', countArgument)
    .option('--node <node>', "show what this node earned: its index or its key's address")
    .option('--contract <index>', 'show the rails of this contract', countArgument)
    .option('--trust-anchor <file>', 'genesis file to trust, default DATA/genesis.json')
    .option('--forks <file>', 'forks of the network that this release does not carry')
    .option(
      '--archive <url>',
      'node asked for openings that the node has forgotten; repeatable',
      list,
    )
    .option('--strict', 'fail where something could not be checked')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: AuditFlags, command: Command) => {
      const { audit } = await import('../commands/audit.ts')
      const { rpc } = command.optsWithGlobals<{ rpc?: string }>()
      await audit(await contextOf(command), flags, rpc !== undefined)
    })
}
