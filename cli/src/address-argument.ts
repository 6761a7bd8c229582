import { parseAddress } from '@ioex/chain/bytes'
import type { CommandContext } from './command-context.ts'
import { usageError } from './output/failure.ts'

/** An address given on the command line. */
export function readAddressArgument(text: string, context: CommandContext): Uint8Array {
  const parsed = parseAddress(text, context.addressPrefix)
  if (!parsed.ok) throw usageError(`${parsed.fault.message} (network ${context.settings.network})`)
  return parsed.value
}
