import type { ConsensusFields } from '../../chain/src/consensus/machine-interface.ts'
import type { Header } from '../../chain/src/types/consensus-objects.ts'
import { ZERO_HASH } from '../../chain/src/types/primitives.ts'

/** A header with consensus fields and content that only its root names. */
export function completeHeader(fields: ConsensusFields, txRoot: Uint8Array): Header {
  return {
    version: 1,
    chainId: ZERO_HASH,
    ...fields,
    txRoot,
    receiptRoot: ZERO_HASH,
    evidenceRoot: ZERO_HASH,
    stateRoot: ZERO_HASH,
    historyRoot: ZERO_HASH,
    epochDataRoot: ZERO_HASH,
    validatorsHash: ZERO_HASH,
    nextValidatorsHash: ZERO_HASH,
  }
}

export function genesisHeader(timeMs: number): Header {
  const fields: ConsensusFields = {
    epoch: 0,
    view: 0,
    height: 0,
    timeMs,
    parentHash: ZERO_HASH,
    parentView: 0,
    justHash: ZERO_HASH,
    proposer: 0,
  }
  return completeHeader(fields, ZERO_HASH)
}
