import type { Command } from 'commander'
import { countArgument } from '../arguments.ts'

const DEFAULT_PORT_BASE = 22_000

export interface DevnetFlags {
  readonly validators: number
  readonly bootstrap: number
  readonly peers: number
  readonly portBase: number
  readonly mainConfirms?: boolean
  readonly reset?: boolean
}

export interface DemoFlags extends DevnetFlags {
  /** Stop when the story is told. */
  readonly once?: boolean
}

/** The flags of a local network, for devnet and demo alike. */
export function addDevnetFlags(command: Command): Command {
  return command
    .option('--validators <n>', 'validators', countArgument, 4)
    .option('--bootstrap <n>', 'bootstrap nodes', countArgument, 2)
    .option('--peers <n>', 'peers; the last two cannot be dialled', countArgument, 8)
    .option(
      '--port-base <port>',
      'first node listens from here; 0: free ports',
      countArgument,
      DEFAULT_PORT_BASE,
    )
    .option('--main-confirms', "a new network's validators ask for Confirms of main blocks")
    .option('--reset', 'delete the network of the data folder first; the wallet stays')
}
