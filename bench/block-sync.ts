import { assert, fromHex } from '@ioex/chain/bytes'
import { LevelStore } from '@ioex/chain/store'
import { BlockSync } from '@ioex/chain/sync'
import { CertifiedChain } from '../chain/src/audit/testing/certified-chain.ts'
import { keyOf } from '../chain/src/rules/testing/sample-chain.ts'
import {
  hopContext,
  managerOf,
  managerOn,
  peersOf,
  serverOf,
} from '../chain/src/sync/testing/served-chain.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'

/** Blocks of transfers, four fifths of an epoch, so that one certificate proves them all. */
function chainOf(blocks: number, perBlock: number): CertifiedChain {
  const chain = new CertifiedChain()
  const to = keyOf('bob').address
  for (let block = 0, nonce = 0; block < blocks; block++) {
    const transfers = Array.from({ length: perBlock }, () =>
      chain.sample.byOwner(
        keyOf('alice'),
        { selector: 0, value: { to, amount: 1n } },
        { nonce: nonce++ },
      ),
    )
    chain.append(transfers)
  }
  return chain
}

/** A newcomer replays a chain that one peer serves: asked for, proven, executed, stored. */
async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  const blocks = sized(scale, 2, 20, 60)
  const perBlock = sized(scale, 2, 64)
  const served = await managerOf(chainOf(blocks, perBlock))
  const server = serverOf(served)
  const peers = peersOf({ peer: (request) => server.answer(request) })
  const { crypto } = hopContext()
  const transfers = blocks * perBlock
  yield {
    name: `chain/sync::block-sync/blocks=${blocks}/transfers=${perBlock}`,
    unit: 'transfers',
    work: transfers,
    subject: () => async () => {
      const manager = await managerOn(await LevelStore.inMemory())
      await new BlockSync({ manager, peers, crypto, exclusively: (run) => run() }).catchUp()
      assert(manager.final.hash === served.final.hash, 'it arrives')
    },
    against: {
      name: `its transfers' signatures by ${RAW_VERIFY}`,
      workload: repeated(() => verifyRaw(transfers)),
    },
    result: fromHex(served.final.hash),
  }
}

export const blockSync: Bench = {
  name: 'sync',
  about: 'blocks of a peer proven, executed and stored, against their signatures alone',
  comparisons,
}
