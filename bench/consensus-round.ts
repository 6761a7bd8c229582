import { fromHex } from '@ioex/chain/bytes'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { ConsensusNetwork } from './consensus-network.ts'
import { RAW_VERIFY, signRaw, verifyRaw } from './raw-signatures.ts'

/** Blocks before counting starts, so that every run meets a network in full swing. */
const BLOCKS_BEFORE = 4
const SAMPLE_BLOCKS = 4
const MANY = 36

/**
 * All validators of a network, in one process, agree on blocks. What is left when everything is
 * taken away but the quorum's votes of others and two signatures of one's own is the limit.
 */
function compare(size: number, blocks: number): Comparison {
  const network = new ConsensusNetwork(size)
  network.advance(BLOCKS_BEFORE)
  const result = fromHex(network.head)
  const { verified, signed } = network
  network.advance(SAMPLE_BLOCKS)
  const perBlock = (count: number) => Number((count / (SAMPLE_BLOCKS * size)).toFixed(2))
  const others = network.quorum - 1
  return {
    name: `chain/consensus::agree/validators=${size}`,
    unit: 'blocks of one validator',
    work: blocks * size,
    // A hundred validators take seconds for a block.
    rounds: size > MANY ? 3 : 5,
    subject: repeated(() => network.advance(blocks)),
    against: {
      name: `2 quorums by ${RAW_VERIFY}, 2 signatures`,
      workload: repeated(() => {
        verifyRaw(blocks * size * 2 * others)
        signRaw(blocks * size * 2)
      }),
    },
    result,
    facts: {
      verifiesPerBlock: perBlock(network.verified - verified),
      signsPerBlock: perBlock(network.signed - signed),
      verifiesAtLeast: 2 * others,
    },
  }
}

function* comparisons(scale: Scale): Generator<Comparison> {
  const sizes = scale.smoke ? [4] : [4, 16, 36, ...(scale.full ? [100] : [])]
  for (const size of sizes) {
    yield compare(size, sized(scale, 1, Math.ceil(24 / size)))
  }
}

export const consensusRound: Bench = {
  name: 'consensus',
  about: 'processor time of a block for one validator, against its signatures alone',
  comparisons,
}
