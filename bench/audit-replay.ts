import { auditExport, type AuditReport } from '@ioex/chain/audit'
import { assert, utf8ToBytes } from '@ioex/chain/bytes'
import { laneOf } from '@ioex/chain/rules'
import {
  type CertifiedChain,
  eventfulChain,
  sameGenesis,
} from '../chain/src/audit/testing/certified-chain.ts'
import {
  GENESIS_TEXT,
  newFolder,
  removeFolders,
  writeRecords,
} from '../chain/src/audit/testing/export-folder.ts'
import { keyOf } from '../chain/src/rules/testing/sample-chain.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'

const TRANSFERS_PER_BLOCK = 8

/** A history with every kind of event, then blocks of transfers. */
function history(blocks: number): CertifiedChain {
  const chain = eventfulChain()
  const alice = keyOf('alice')
  const to = keyOf('bob').address
  while (chain.height < blocks) {
    const first = chain.sample.byOwner(alice, { selector: 0, value: { to, amount: 1n } })
    const transfers = Array.from({ length: TRANSFERS_PER_BLOCK }, (_, i) => {
      const nonce = first.body.nonce + i
      return chain.sample.byOwner(alice, first.body.payload, { nonce })
    })
    chain.append(transfers)
  }
  return chain
}

/** An audit of an exported folder, all of it: reading, certificates, execution, roots. */
async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  const chain = history(sized(scale, 57, 96, 1024))
  const folder = await newFolder()
  try {
    await writeRecords(folder, chain.records)
    const audit = async (genesis = sameGenesis()): Promise<AuditReport> => {
      const report = await auditExport({ folder, genesis, genesisText: GENESIS_TEXT })
      assert(!report.falsehood, `the export is true: ${report.falsehood?.what}`)
      return report
    }
    const { blocks, transactions, receipts, signatures, minted } = await audit()
    const signed = chain.records
      .flatMap(({ block }) => block.body.transactions)
      .filter(({ body }) => laneOf(body) !== 'system').length
    yield {
      name: `chain/audit::replay/blocks=${blocks}`,
      unit: 'blocks',
      work: blocks,
      subject: () => {
        const genesis = sameGenesis()
        return () => audit(genesis)
      },
      against: {
        name: `its signatures by ${RAW_VERIFY}`,
        workload: repeated(() => verifyRaw(signatures + signed)),
      },
      result: utf8ToBytes(`${blocks} ${transactions} ${receipts} ${signatures} ${minted}`),
      facts: {
        transactionsPerBlock: Number((transactions / blocks).toFixed(2)),
        signaturesPerBlock: Number(((signatures + signed) / blocks).toFixed(2)),
      },
    }
  } finally {
    await removeFolders()
  }
}

export const auditReplay: Bench = {
  name: 'audit',
  about: 'an exported history recomputed, against checking its signatures',
  comparisons,
}
