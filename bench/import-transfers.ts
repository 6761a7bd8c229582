import { assert } from '@ioex/chain/bytes'
import { SignatureThreads } from '@ioex/chain/native'
import { credit, executeBlock, signatureChecks } from '@ioex/chain/rules'
import { draftOf, merge } from '@ioex/chain/state'
import { BlockBodyType } from '@ioex/chain/types'
import { decodeBody } from '../chain/src/manager/block-execution.ts'
import { keyOf, SampleChain, UNITS } from '../chain/src/rules/testing/sample-chain.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'
import { seededBytes } from './seeded.ts'

const SENDERS = 64
const ADDRESS_BYTES = 20
/** Signatures cost the same everywhere, memory does not: a busy machine shows in single rounds. */
const ROUNDS = 15

/** Puts accounts into the committed state beside those of genesis; gives their addresses. */
function addAccounts({ ledger }: SampleChain, count: number): Uint8Array[] {
  const bytes = seededBytes('accounts of a block import', count * ADDRESS_BYTES)
  const addresses = Array.from({ length: count }, (_, i) =>
    bytes.subarray(i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES),
  )
  const draft = draftOf(ledger)
  for (const address of addresses) credit(draft, address, UNITS)
  const globals = draft.globals()
  const genesisSupply = globals.genesisSupply + BigInt(count) * UNITS
  draft.setGlobals({ ...globals, genesisSupply })
  merge(draft)
  return addresses
}

/** Decoding, rules, every signature, receipts and all roots of one block of transfers. */
async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  const count = sized(scale, 8, 1024)
  const senders = Array.from({ length: SENDERS }, (_, i) => keyOf(`sender ${i}`))
  const balances = Object.fromEntries(senders.map((_, i) => [`sender ${i}`, 1000n * UNITS]))
  const chain = new SampleChain({ balances })
  const accounts = sized(scale, 16, 20_000, 1_000_000)
  const receivers = addAccounts(chain, accounts)
  const transactions = Array.from({ length: count }, (_, i) => {
    const sender = senders[i % SENDERS]
    const to = receivers[(i * 7919) % receivers.length]
    assert(sender && to, 'there are senders and receivers')
    const transfer = { selector: 0 as const, value: { to, amount: 1n + BigInt(i) } }
    return chain.byOwner(sender, transfer, { nonce: Math.floor(i / SENDERS) })
  })
  const body = BlockBodyType.serialize({ transactions })
  const block = chain.next()
  const importBlock = () => {
    // A copy: what was decoded before is known by its bytes.
    const decoded = decodeBody(body.slice())
    assert(decoded.ok, 'a body of our own decodes')
    const executed = executeBlock(draftOf(chain.ledger), decoded.value, block)
    assert(executed.ok, executed.ok ? '' : executed.fault.message)
    return executed.value
  }
  // Beside the main thread one more, whatever the machine has: two cores is what is compared.
  const threads = new SignatureThreads({ threads: 1 })
  const importOnTwo = () => {
    const decoded = decodeBody(body.slice())
    assert(decoded.ok, 'a body of our own decodes')
    const listChecks = () => signatureChecks(decoded.value, chain.chainId, () => false)
    return threads.during(listChecks, () => {
      const executed = executeBlock(draftOf(chain.ledger), decoded.value, block)
      assert(executed.ok, executed.ok ? '' : executed.fault.message)
      return Promise.resolve(executed.value)
    })
  }
  yield {
    name: `chain/rules::import-transfers/transfers=${count}`,
    unit: 'transfers',
    work: count,
    rounds: ROUNDS,
    subject: repeated(importBlock),
    against: { name: RAW_VERIFY, workload: repeated(() => verifyRaw(count)) },
    result: importBlock().roots.stateRoot,
    facts: { accounts, bodyBytes: body.length },
  }
  threads.install()
  yield {
    name: `chain/native::import-transfers/transfers=${count}/threads=2`,
    unit: 'transfers',
    work: count,
    clock: 'mainThread',
    rounds: ROUNDS,
    subject: repeated(importOnTwo),
    against: {
      name: 'the same on one thread, main threads alone',
      workload: repeated(importBlock),
    },
    result: (await importOnTwo()).roots.stateRoot,
  }
  await threads.stop()
}

export const importTransfers: Bench = {
  name: 'import',
  about: 'a block of signed transfers executed, against checking its signatures',
  comparisons,
}
