import { Command, CommanderError } from 'commander'
import type { CommandIo } from './command-context.ts'
import { setCommandIo } from './context-of.ts'
import { registerAnchor } from './verbs/anchor.ts'
import { registerAudit } from './verbs/audit.ts'
import { registerContract } from './verbs/contract.ts'
import { registerDemo } from './verbs/demo.ts'
import { registerDevnet } from './verbs/devnet.ts'
import { registerGenesis } from './verbs/genesis.ts'
import { registerGet } from './verbs/get.ts'
import { registerLs } from './verbs/ls.ts'
import { registerMainChain } from './verbs/main-chain.ts'
import { registerNode } from './verbs/node.ts'
import { registerPeg } from './verbs/peg.ts'
import { registerPut } from './verbs/put.ts'
import { registerReceipts } from './verbs/receipts.ts'
import { registerRepair } from './verbs/repair.ts'
import { registerRewards } from './verbs/rewards.ts'
import { registerRm } from './verbs/rm.ts'
import { registerRpc } from './verbs/rpc.ts'
import { registerStatus } from './verbs/status.ts'
import { registerValidator } from './verbs/validator.ts'
import { registerWallet } from './verbs/wallet.ts'
import { EXIT_OK, EXIT_USAGE, reportFailure, usageError } from './output/failure.ts'
import { VERSION } from './version.ts'

const EXAMPLES = `
Examples:
  $ ioex demo                       the whole story on a real file, on this machine
  $ ioex devnet                     a local network to try the other commands on
  $ ioex wallet create
  $ ioex put holiday.mp4
  $ ioex get holiday.mp4 -o copy.mp4
`

/**
 * All verbs, in the order of the help. A file of verbs/ says what can be typed and nothing more;
 * its work is in commands/ and the rooms beside it, and loaded when the verb runs.
 */
const verbs: readonly ((program: Command) => void)[] = [
  registerDevnet,
  registerDemo,
  registerNode,
  registerValidator,
  registerGenesis,
  registerMainChain,
  registerWallet,
  registerPut,
  registerGet,
  registerLs,
  registerStatus,
  registerRm,
  registerRepair,
  registerContract,
  registerRewards,
  registerReceipts,
  registerAudit,
  registerAnchor,
  registerPeg,
  registerRpc,
]

export function createProgram(io: CommandIo, isJson: boolean): Command {
  const program = new Command('ioex')
    .description('Backs up files on a network of peers, and pays them; see "ioex COMMAND --help"')
    .version(VERSION)
    .option('--json', 'one JSON document instead of text')
    .option('--rpc <url>', 'JSON-RPC address of the node to ask (IOEX_RPC)')
    .option('--data <dir>', 'folder of the wallet and of everything local (IOEX_DATA)')
    .option('--network <name>', 'main, test, local or ci (IOEX_NETWORK)')
    .option('--config <file>', 'file with these options, default DATA/ioex.yaml')
    .option('--token-file <file>', 'access token of the node, default DATA/rpc-token')
    .option('--passphrase-file <file>', 'its first line opens sealed keys (IOEX_PASSPHRASE_FILE)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => {
        if (!isJson) io.stderr.write(text)
      },
      // Mistakes are reported once, by runCommandLine.
      outputError: () => undefined,
    })
  setCommandIo(program, io)
  for (const register of verbs) register(program)
  return program
}

/** Runs one command line (without node and script); gives the exit code. Never throws. */
export async function runCommandLine(args: readonly string[], io: CommandIo): Promise<number> {
  const isJson = args.includes('--json')
  try {
    await createProgram(io, isJson).parseAsync([...args], { from: 'user' })
    return EXIT_OK
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, io, isJson)
    // Asking for help or the version is no mistake.
    if (error.exitCode === 0) return EXIT_OK
    // A command line without a command: commander has shown the help, on stderr.
    if (error.code === 'commander.help' && !isJson) return EXIT_USAGE
    return reportFailure(usageError(usageMessage(error)), io, isJson)
  }
}

/** Commander's message as one line of our own. */
function usageMessage({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'give a command: --help lists them'
  const text = message.replace(/^error: /, '').replace(/\.?$/, '')
  return `${text.replaceAll('\n', ' ')}: add --help for the usage`
}
