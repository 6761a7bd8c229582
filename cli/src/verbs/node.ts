import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { contextOf } from '../context-of.ts'
import { interruption } from '../interruption.ts'
import { usageError } from '../output/failure.ts'
import type { KeyFlags } from '../operate/init-actions.ts'
import type { RegisterFlags } from '../operate/register-actions.ts'
import { addKeyFlags } from './validator.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
Every option is also read from IOEX_* (--main-chain: IOEX_MAIN_CHAIN) and from the file that
--config names (YAML or JSON; mainChain: …); options win over variables, variables over the file.
Ports follow the network: 20668 p2p, 20666 JSON-RPC, 20667 health and metrics on the main network,
21668 … on the test network, 22668 … on a local one. Everything listens on loopback unless told.

Examples:
  $ ioex node --roles validator --genesis genesis.json --data /var/lib/ioex --new-validator \\
      --listen 0.0.0.0:20668 --announce /dns4/v1.example.org/tcp/20668 \\
      --peers /dns4/v2.example.org/tcp/20668/p2p/16Uiu2… --main-chain http://127.0.0.1:20336
  $ ioex node --roles peer --genesis genesis.json --data peer --listen none --capacity 500GiB \\
      --full-nodes http://v1.example.org:20666,http://v2.example.org:20666 --peers /dns4/…/p2p/…
  $ ioex node --config node.yaml
  $ ioex node --config DATA/peer-1/config.json      as "ioex devnet" wrote it
`

const INIT_EXAMPLES = `
A peer's identity is for one network: name its file with --genesis.

Examples:
  $ ioex node init --role bootstrap --network test --data /var/lib/ioex
  $ ioex node init --role peer --genesis genesis.json --data peer --no-passphrase
`
const REGISTER_HELP = `
The owner's wallet pays fee and deposit. A validator must have its keys in DATA/keys; a consensus key
that is new to the chain makes a validator with the least bond. Addresses and prices stand in the
directory of offers: the running node tells them (--announce, --relay-price).

Examples:
  $ ioex node init --role bootstrap --data b1 --network test
  $ ioex node register --data b1 --wallet wallet --rpc http://v1.example.org:21666
`
const ROTATE_HELP = `
The old node serves until the new key is final on the chain; then DATA/keys/node.key is the new
one and the old one is kept as node-former-N.key: rails opened with it are redeemed with it. Start
the node again and tell others its new peer id. Run again after an interruption it goes on.

Example:
  $ ioex node rotate-key --data b1 --wallet wallet --rpc http://v1.example.org:21666
`
const UNREGISTER_HELP = `
Ends what "ioex node register" began. The first time the node gives up its roles; rails go on until
they are closed, and a validator's stake is asked back with "ioex validator unbond". Given again
once anchors of the exit are FINAL and the unbonding time is over, the deposit goes to the owner,
less what the node owes for proofs. "ioex node register" before then takes it back.

Example:
  $ ioex node unregister --data b1 --wallet wallet --rpc http://v1.example.org:21666
`

/** node: one node in the foreground. */
export function registerNode(program: Command): void {
  const node = program
    .command('node')
    .description('run one node: validator, bootstrap, peer')
    .usage('--config <file> | --roles <roles> --genesis <file> --data <dir> …')
    .option('--roles <list>', 'validator, bootstrap, peer; several with commas')
    .option('--genesis <file>', "the network's genesis file")
    .option('--forks <file>', 'forks of the network that this release does not carry')
    .option('--name <name>', 'name in the log')
    .option('--listen <host:port>', 'where to accept others; "none" for a peer behind a router')
    .option('--bootstrap-listen <host:port>', 'the same of a bootstrap node beside a validator')
    .option('--peer-listen <host:port>', 'the same of a peer beside a validator')
    .option('--announce <list>', 'addresses to tell others: multiaddrs, or host:port of a peer')
    .option('--peers <list>', 'multiaddrs of validators (validator) or bootstrap nodes (others)')
    .option('--bootstraps <list>', 'bootstrap nodes of a second role beside a validator')
    .option('--full-nodes <list>', 'JSON-RPC of at least two full nodes (bootstrap, peer)')
    .option('--main-chain <url>', 'main-chain node: http://… (JSON-RPC) or elap2p://host:port')
    .option('--main-chain-others <urls>', 'more main-chain nodes, compared: most work wins')
    .option('--main-arbiters <who>', 'main headers need Confirms: "nodes", or a file of keys')
    .option('--rpc-port <port>', 'JSON-RPC of a validator')
    .option('--rpc-host <address>', 'its address, default 127.0.0.1')
    .option('--rpc-public', 'let other machines use the JSON-RPC')
    .option('--rpc-allow-host <list>', 'host names under which it may be addressed')
    .option('--rpc-allow-origin <list>', 'web pages that may read: https://page.example, or *')
    .option('--metrics <host:port>', 'health and metrics pages; "none" for no pages')
    .option('--new-validator', 'first start of a consensus key that never signed anything')
    .option('--halt-epoch <epoch>', 'finalise the last block of this epoch, then stop')
    .option('--sync <way>', 'an empty validator folder joins by: snapshot (default) or full')
    .option('--trusted-checkpoint <epoch:hash>', 'one that you compared, if anchors are missing')
    .option('--openings <which>', 'what a validator keeps of proofs: all (default) or recent')
    .option('--capacity <size>', "a peer's disk space, default 100GiB")
    .option('--price <amount>', 'IOEX per GiB and epoch stored')
    .option('--unit-price <amount>', 'IOEX per GiB moved')
    .option('--relay-price <amount>', 'IOEX per GiB relayed')
    .option('--reservation-price <amount>', "IOEX per epoch of a link beyond a peer's free one")
    .option('--daily-traffic <size>', 'most bytes that a peer moves in a day (UTC); default no cap')
    .option('--quiet-hours <from-to>', 'times (UTC) when a peer moves none, e.g. 22:00-06:30')
    .option('--region <name>', 'where a peer says it is, e.g. eu: at most 16 bytes')
    .option('--asn <number>', 'the number of the network that it says it is in')
    .option('--paid-links <count>', 'links that a peer pays for beside its free one, default 0')
    .option('--link-price-max <amount>', 'most IOEX for an epoch of such a link, default 0.01')
    .option('--repair', "a peer that rebuilds its owner's lost slots, where repair is due")
    .option('--leave', 'a peer gives notice for all it stores and takes no more')
    .option('--friends <list>', 'node keys that may deliver files into the inbox')
    .option('--log-level <level>', 'fatal, error, warn, info, debug or trace')
    .action(async (_options, command: Command) => {
      const context = await contextOf(command, { ignoresConfig: true })
      // From here on a signal ends what runs in order, also while it starts.
      const stop = interruption()
      const { configsOf, runNode } = await import('../operate/run-node.ts')
      const given = command.optsWithGlobals<Record<string, unknown>>()
      await runNode(context, await configsOf(context, given), stop)
    })
  registerInit(node)
  registerOnChain(node)
  registerLeaving(node)
  addExamples(node, EXAMPLES)
}

/** node register | rotate-key: a bootstrap node's or validator's node key on the chain. */
function registerOnChain(node: Command): void {
  const actions = () => import('../operate/register-actions.ts')
  const withOwner = (command: Command) =>
    command
      .option('--wallet <dir>', "folder of the owner's wallet, default the node's own folder")
      .option('--payout <address>', 'where pay goes, default what the chain has, else the owner')
  withOwner(node.command('register'))
    .description("put the folder's node on the chain, or change its payout and roles there")
    .addOption(
      new Option('--role <role>', 'what it is registered as')
        .choices(['bootstrap', 'validator'])
        .default('bootstrap'),
    )
    .option('--no-wait', 'do not wait until it is final')
    .addHelpText('after', REGISTER_HELP)
    .action(async (flags: RegisterFlags, command: Command) => {
      await (await actions()).registerNode(await contextOf(command), flags)
    })
  withOwner(node.command('rotate-key'))
    .description('give a registered node a new node key, and with it a new peer id')
    .addHelpText('after', ROTATE_HELP)
    .action(async (flags: RegisterFlags, command: Command) => {
      await (await actions()).rotateNodeKey(await contextOf(command), { ...flags, wait: true })
    })
}

/** node unregister: the roles given up, then the deposit paid back. */
function registerLeaving(node: Command): void {
  node
    .command('unregister')
    .description("give up the roles of the folder's node, then get its deposit back")
    .option('--wallet <dir>', "folder of the owner's wallet, default the node's own folder")
    .option('--no-wait', 'do not wait until it is final')
    .addHelpText('after', UNREGISTER_HELP)
    .action(async (flags: Pick<RegisterFlags, 'wallet' | 'wait'>, command: Command) => {
      const { unregisterNode } = await import('../operate/register-actions.ts')
      await unregisterNode(await contextOf(command), flags)
    })
}

/** node init: keys of a bootstrap node or peer. */
function registerInit(node: Command): void {
  addKeyFlags(node.command('init'))
    .description("make a bootstrap node's keys and entry, or a peer's keys and identity")
    .addOption(new Option('--role <role>').choices(['bootstrap', 'peer']).makeOptionMandatory())
    .addHelpText('after', INIT_EXAMPLES)
    .action(async (_flags, command: Command) => {
      const context = await contextOf(command)
      // --genesis is an option of "node" too, which takes it.
      const flags = command.optsWithGlobals<KeyFlags & { role: string; genesis?: string }>()
      const { initNode, initPeer } = await import('../operate/init-actions.ts')
      if (flags.role === 'bootstrap') return initNode(context, 'bootstrap', flags, 0n)
      if (flags.genesis === undefined) throw usageError('name the genesis file with --genesis')
      return initPeer(context, flags, resolve(context.io.folder, flags.genesis))
    })
}
