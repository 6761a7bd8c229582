import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'
import type { CreateFlags } from '../operate/genesis-actions.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
Every operator sends its genesis-entry.json ("ioex validator init", "ioex node init"). Whoever then
runs "create" with the same entries, allocations, time and checkpoint gets the same file, byte for
byte: compare the chain id. Local networks need no checkpoint: their built-in main chain ("ioex
main-chain") follows from the genesis file.

Examples:
  $ ioex genesis create --preset test --time 2026-11-22T12:00:00Z \\
      --validator alice.json --validator bob.json --bootstrap carol.json \\
      --allocation tioex1…=1000000 --main-checkpoint header.hex -o genesis.json
  $ ioex genesis show genesis.json
`

const collect = (text: string, before: readonly string[]) => [...before, text]

/** genesis create | show FILE */
export function registerGenesis(program: Command): void {
  const genesis = program
    .command('genesis')
    .description('the first block of a network: make it from signed entries, check it')
  genesis
    .command('create')
    .description('check the signed entries and write the genesis file')
    .requiredOption('--preset <name>', 'main, test, local, ci')
    .requiredOption('--time <iso>', 'time of block 0, e.g. 2026-11-22T12:00:00Z; not in the future')
    .option('--validator <file>', "a validator's entry; repeat it", collect, [])
    .option('--bootstrap <file>', "a bootstrap node's entry; repeat it", collect, [])
    .option('--allocation <address=amount>', 'IOEX from the start; repeat it', collect, [])
    .option('--main-checkpoint <file>', 'raw main-chain header with its AuxPow, hex')
    .option('-o, --output <file>', 'where to write', 'genesis.json')
    .action(async (flags: CreateFlags, command: Command) => {
      const { createGenesis } = await import('../operate/genesis-actions.ts')
      await createGenesis(await contextOf(command), flags)
    })
  genesis
    .command('show')
    .description('check a genesis file and show what it holds')
    .argument('<file>', 'genesis file')
    .action(async (file: string, _options, command: Command) => {
      const { showGenesisFile } = await import('../operate/genesis-actions.ts')
      await showGenesisFile(await contextOf(command), file)
    })
  addExamples(genesis, EXAMPLES)
}
