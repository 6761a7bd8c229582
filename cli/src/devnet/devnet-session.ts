import type { CommandContext } from '../command-context.ts'
import { CommandError, usageError } from '../output/failure.ts'
import type { DevnetOptions } from './devnet-files.ts'
import type { DevnetFlags } from './devnet-flags.ts'
import { LocalNetwork } from './local-network.ts'

/** Simplex tolerates fewer than a third faulty: below four none. */
const VALIDATORS_MIN = 4
/** A slot each on n = peers - 2 of them, and two that cannot be dialled. */
const PEERS_MIN = 4

/** Starts the network of the data folder and shows how far it is; `stop` calls the start off. */
export async function startDevnet(
  context: CommandContext,
  flags: DevnetFlags,
  stop: Promise<unknown>,
): Promise<LocalNetwork> {
  const { output } = context
  const options = devnetOptions(context, flags)
  const called = new AbortController()
  void stop.then(() => {
    const message = 'interrupted before all nodes were ready; the next start goes on from here'
    called.abort(new CommandError('INTERRUPTED', message))
  })
  const bar = output.progress('starting', flags.validators + flags.bootstrap + flags.peers)
  try {
    return await LocalNetwork.start(options, {
      reset: flags.reset ?? false,
      signal: called.signal,
      onProgress(ready, _total, last) {
        bar.update(ready)
        if (!context.io.stderr.isTTY) output.note(`ready: ${last}`)
      },
      onLost: (name, log) =>
        output.note(`${name} has ended by itself: see ${log}; the next start brings it back`),
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw new CommandError(
      'PORT_TAKEN',
      `${(error as Error).message}: stop what listens there, or start with --port-base 0`,
    )
  } finally {
    bar.stop()
  }
}

export async function stopDevnet(context: CommandContext, network: LocalNetwork): Promise<void> {
  context.output.note('stopping; the next start goes on from here')
  await network.stop()
}

export function showNetwork({ output }: CommandContext, network: LocalNetwork): void {
  const { record, data } = network
  const json = { data, rpc: network.rpcUrls(), mainChain: network.mainChain.rpcUrl, ...record }
  output.result(json, () =>
    [
      `The network runs; everything is in ${data}`,
      `  JSON-RPC     ${network.rpcUrls().join('  ')}`,
      `  main chain   ${network.mainChain.rpcUrl}`,
      `  nodes        ${record.nodes.length}, logs in ${data}/logs`,
      'Try in another terminal: npx ioex put FILE, npx ioex ls, npx ioex rpc chain_getStatus',
      'Ctrl-C stops it.',
    ].join('\n'),
  )
}

function devnetOptions({ settings }: CommandContext, flags: DevnetFlags): DevnetOptions {
  const { network, data } = settings
  if (network !== 'local' && network !== 'ci') {
    throw usageError(`a local network is "local" or "ci", not "${network}"`)
  }
  if (flags.validators < VALIDATORS_MIN) {
    throw usageError(`give at least ${VALIDATORS_MIN} validators`)
  }
  if (flags.peers < PEERS_MIN) throw usageError(`give at least ${PEERS_MIN} peers`)
  if (flags.portBase > 0 && (flags.portBase < 1024 || flags.portBase > 64_000)) {
    throw usageError('--port-base is 0, or from 1024 to 64000')
  }
  return {
    data,
    preset: network,
    validators: flags.validators,
    bootstraps: flags.bootstrap,
    peers: flags.peers,
    portBase: flags.portBase,
    mainConfirms: flags.mainConfirms,
  }
}
