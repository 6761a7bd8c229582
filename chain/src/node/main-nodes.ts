import { type MainNode, openMainNode, parseMainNodeAddress } from '../follower/main-node.ts'
import { INSTANT_POW_LIMIT_BITS } from '../elastos/difficulty.ts'
import type { HeaderContext, MainChainParams } from '../elastos/header-rules.ts'

/** A main node's address in the configuration cannot be used. */
export class MainNodeAddressError extends Error {
  override name = 'MainNodeAddressError'
  readonly code = 'MAIN_NODE_ADDRESS'
}

/** The configured main nodes; `start` is a block of theirs that the ledger has on record. */
export function openMainNodes(
  addresses: readonly string[],
  params: MainChainParams,
  start: HeaderContext['previous'],
): MainNode[] {
  // Only regnet and the built-in chain have blocks at once; those are one network to P2P.
  const network = params.powLimitBits === INSTANT_POW_LIMIT_BITS ? 'regression' : 'main'
  return addresses.map((text) => {
    const address = parseMainNodeAddress(text, network)
    if (!address.ok) throw new MainNodeAddressError(address.fault.message)
    return openMainNode(text, address.value, start)
  })
}
