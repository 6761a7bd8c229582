import { installNativeCrypto } from '@ioex/chain/native'
import type { CommandContext } from '../command-context.ts'
import type { DemoFlags } from '../devnet/devnet-flags.ts'
import { showNetwork, startDevnet, stopDevnet } from '../devnet/devnet-session.ts'
import { interruption } from '../interruption.ts'
import { CommandError } from '../output/failure.ts'
import { closingTable } from './closing-table.ts'
import { chooseFile } from './demo-file.ts'
import { runDemo } from './run-demo.ts'
import { createStoryTeller } from './story-teller.ts'

/** Starts the network, tells the story, shows the table; then stays up unless `once` is set. */
export async function demoSession(
  context: CommandContext,
  path: string | undefined,
  flags: DemoFlags,
): Promise<void> {
  await installNativeCrypto()
  const file = await chooseFile(path)
  const stop = interruption()
  const network = await startDevnet(context, flags, stop)
  try {
    const story = runDemo(network, file, createStoryTeller(context.output))
    const told = await Promise.race([story, stop])
    if (typeof told === 'string') {
      // The story ends by itself when the network below it stops.
      story.catch(() => undefined)
      throw new CommandError('INTERRUPTED', 'interrupted before the demo was done')
    }
    const { result, settlement } = told
    context.output.result(result, () => closingTable(context.output, network, result, settlement))
    if (flags.once) return
    showNetwork(context, network)
    await stop
  } finally {
    await stopDevnet(context, network)
  }
}
