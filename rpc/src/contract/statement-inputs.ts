import type { NetworkParams } from '@ioex/chain/params'
import type { Epoch } from '@ioex/chain/types'

/** What the formula of an epoch's pay is computed from, beside a node's receipts. */
export function statementInputs(params: NetworkParams, record: Epoch, closed: boolean) {
  return {
    phi: params.phi,
    nu: params.nu,
    rho: params.rho,
    epochFees: record.fees.toString(),
    epochBurned: record.burned.toString(),
    emission: record.emission.toString(),
    emissionCap: params.emissionCapUnits.toString(),
    closed,
  }
}
