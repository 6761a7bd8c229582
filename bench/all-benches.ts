import { auditReplay } from './audit-replay.ts'
import { blockSync } from './block-sync.ts'
import type { Bench } from './comparison.ts'
import { consensusRound } from './consensus-round.ts'
import { dataChannel } from './data-channel.ts'
import { encodePacks } from './encode-pack.ts'
import { importTransfers } from './import-transfers.ts'
import { joining } from './joining.ts'
import { lightClient } from './light-client.ts'
import { mainHeaders } from './main-headers.ts'
import { proofsAndPay } from './proofs-and-pay.ts'
import { scale } from './scale.ts'
import { stateRoots } from './state-root.ts'

export const allBenches: readonly Bench[] = [
  importTransfers,
  stateRoots,
  joining,
  blockSync,
  consensusRound,
  proofsAndPay,
  mainHeaders,
  auditReplay,
  lightClient,
  scale,
  encodePacks,
  dataChannel,
]
