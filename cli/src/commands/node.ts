import { resolve } from 'node:path'
import { bytesToHex, formatAddress, publicKeyOf } from '@ioex/chain/bytes'
import { type Command, Option } from 'commander'
import pino from 'pino'
import { type CommandContext, contextOf, readAddressArgument } from '../command-context.ts'
import { interruption } from '../interruption.ts'
import { readNodeConfig } from '../nodes/node-config.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { identityPath, writeIdentity } from '../nodes/node-owner.ts'
import { keyOf, ownerOf } from '../operate/node-keys.ts'
import { usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { addKeyFlags, initNode, keepingOf, type KeyFlags } from './validator.ts'

const EXAMPLES = `
The config file names role, genesis, data folder, listeners and peers; "ioex devnet" writes one for
each of its nodes (DATA/peer-1/config.json) to start from.

Example:
  $ ioex node --config peer-1/config.json
`

/** node: one node in the foreground. */
export function registerNode(program: Command): void {
  const node = program
    .command('node')
    .description('run one node: validator, bootstrap or peer')
    .usage('--config <file>')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      // The option that names the settings file of every other command names the node's here.
      const path = command.optsWithGlobals<{ config?: string }>().config
      if (path === undefined) throw usageError("name the node's config file with --config")
      const context = await contextOf(command, { ignoresConfig: true })
      const stop = interruption()
      const config = await readNodeConfig(resolve(context.io.folder, path))
      const { startNode } = await import('../nodes/start-node.ts')
      const logger = pino({ name: config.name, level: config.logLevel })
      const node = await startNode(config, logger, context.passphrase)
      context.output.note(`${config.name} is ready: ${JSON.stringify(node.info)}`)
      await stop
      await node.stop()
    })
  registerInit(node)
}

/** node init: keys of a bootstrap node or peer. */
function registerInit(node: Command): void {
  addKeyFlags(node.command('init'))
    .description("make a bootstrap node's keys and entry, or a peer's keys and identity")
    .addOption(new Option('--role <role>').choices(['bootstrap', 'peer']).makeOptionMandatory())
    .option('--genesis <file>', "the network's genesis file; a peer's identity is for one network")
    .action(async (flags: KeyFlags & { role: string; genesis?: string }, command: Command) => {
      const context = await contextOf(command)
      if (flags.role === 'bootstrap') return initNode(context, 'bootstrap', flags, 0n)
      if (flags.genesis === undefined) throw usageError('name the genesis file with --genesis')
      return initPeer(context, flags, resolve(context.io.folder, flags.genesis))
    })
}

async function initPeer(context: CommandContext, flags: KeyFlags, path: string): Promise<void> {
  const { chainId, params } = await readGenesis(path)
  const keeping = keepingOf(context, flags)
  const { owner } = await ownerOf(keeping)
  const nodeKey = publicKeyOf(await keyOf(keeping, 'node'))
  const payout =
    flags.payout === undefined ? owner.address : readAddressArgument(flags.payout, context)
  await writeIdentity(keeping.data, chainId, owner.secretKey, nodeKey, payout)
  const facts = {
    network: params.network,
    role: 'peer',
    owner: formatAddress(owner.address, params.addressPrefix),
    payout: formatAddress(payout, params.addressPrefix),
    nodeKey: bytesToHex(nodeKey),
    identity: identityPath(keeping.data),
  }
  context.output.result(facts, () => factsText(Object.entries(facts)))
}
