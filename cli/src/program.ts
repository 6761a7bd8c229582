import { Command, CommanderError } from 'commander'
import { type CommandIo, setCommandIo } from './command-context.ts'
import { registerAnchor } from './commands/anchor.ts'
import { registerAudit } from './commands/audit.ts'
import { registerContract } from './commands/contract.ts'
import { registerDemo } from './commands/demo.ts'
import { registerDevnet } from './commands/devnet.ts'
import { registerGenesis } from './commands/genesis.ts'
import { registerGet } from './commands/get.ts'
import { registerLs } from './commands/ls.ts'
import { registerMainChain } from './commands/main-chain.ts'
import { registerNode } from './commands/node.ts'
import { registerPeg } from './commands/peg.ts'
import { registerPut } from './commands/put.ts'
import { registerReceipts } from './commands/receipts.ts'
import { registerRewards } from './commands/rewards.ts'
import { registerRpc } from './commands/rpc.ts'
import { registerValidator } from './commands/validator.ts'
import { registerWallet } from './commands/wallet.ts'
import { EXIT_OK, EXIT_USAGE, reportFailure, usageError } from './output/failure.ts'
import { VERSION } from './version.ts'

/** Adds one verb to the program. */
export type RegisterCommand = (program: Command) => void

const commands: readonly RegisterCommand[] = [
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
  for (const register of commands) register(program)
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
