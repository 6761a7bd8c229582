import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  BlockBodyType,
  CertificateType,
  HeaderType,
  PayloadKind,
  type Receipt,
  ReceiptKind,
  ReceiptType,
  type Transaction,
} from '@ioex/chain/types'
import type { Tamper } from './tampering-node.ts'

interface Served {
  header: string
  body: string
  justification: string | null
  certificate: string | null
}
type Blocks = { blocks: Served[] }
type Receipts = { receipts: { ssz: string }[] }

/** One way to lie about a chain, and the fault that an audit must find. */
export interface Lie {
  readonly name: string
  readonly code: string
  /** Made anew for each audit: most lie once and then serve the truth. */
  readonly tamper: () => Tamper
  /** The lie is in a statement, which is compared where an epoch is asked for. */
  readonly asksEpoch?: true
}

/** Enough blocks for a lie about blocks: a node may always serve an older tip. */
const TIP_MAX = 200

/** Serves the chain up to a height, and falsifies the blocks of one answer. */
const inBlocks = (change: (blocks: Served[], tip: number) => Served[]) => () => {
  let tip = 0
  return (method: string, result: unknown) => {
    if (method === 'chain_getStatus') {
      const status = result as { height: number }
      tip = Math.min(status.height, TIP_MAX)
      return { ...status, height: tip }
    }
    if (method !== 'chain_getRawBlocks') return result
    return { ...(result as Blocks), blocks: change((result as Blocks).blocks, tip) }
  }
}

/** Falsifies the first block after genesis that the change finds something in. */
const inBlock = (change: (block: Served, height: number, tip: number) => boolean) => () => {
  let done = false
  return inBlocks((blocks, tip) => {
    for (const block of blocks) {
      const { height } = HeaderType.deserialize(fromHex(block.header))
      if (!done && height > 0) done = change(block, height, tip)
    }
    return blocks
  })()
}

/** As inBlock, for the first transaction of a kind. */
const inTransaction = (selector: number, change: (value: never) => void) =>
  inBlock((block) => {
    const body = BlockBodyType.deserialize(fromHex(block.body))
    const transactions = body.transactions as Transaction[]
    const found = transactions.find(({ body: { payload } }) => payload.selector === selector)
    if (!found) return false
    change(found.body.payload.value as never)
    block.body = bytesToHex(BlockBodyType.serialize({ transactions }))
    return true
  })

/** Falsifies the list of receipts once, on the first page that holds one of the kind. */
const inReceipts =
  (change: (list: Receipts['receipts'], at: number, found: Receipt) => void) => () => {
    let done = false
    return (method: string, result: unknown) => {
      if (done || method !== 'receipts_list') return result
      const { receipts } = result as Receipts
      const all = receipts.map(({ ssz }) => ReceiptType.deserialize(fromHex(ssz)) as Receipt)
      const at = all.findIndex(({ body }) => body.selector === ReceiptKind.storage)
      if (at < 0) return result
      done = true
      change(receipts, at, all[at] as Receipt)
      return result
    }
  }

function flip(bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] as number) ^ 1
}

export const LIES: readonly Lie[] = [
  {
    name: 'a byte of the last header',
    code: 'CERTIFICATE_OTHER',
    tamper: inBlock((block, height, tip) => {
      if (height !== tip) return false
      const header = HeaderType.deserialize(fromHex(block.header))
      flip(header.stateRoot, 7)
      block.header = bytesToHex(HeaderType.serialize(header))
      return true
    }),
  },
  {
    name: 'a byte of a header that others stand on',
    code: 'EXPORT_ORDER',
    tamper: inBlock((block, height) => {
      if (height < 40) return false
      const header = HeaderType.deserialize(fromHex(block.header))
      flip(header.stateRoot, 7)
      block.header = bytesToHex(HeaderType.serialize(header))
      return true
    }),
  },
  {
    name: 'a signature of a certificate under another signer’s name',
    code: 'CERTIFICATE_INVALID',
    tamper: inBlock((block) => {
      if (block.certificate === null) return false
      const certificate = CertificateType.deserialize(fromHex(block.certificate))
      const [first, second, ...others] = certificate.signatures
      if (!first || !second) return false
      certificate.signatures = [second, first, ...others]
      block.certificate = bytesToHex(CertificateType.serialize(certificate))
      return true
    }),
  },
  {
    name: 'an amount in a transaction',
    code: 'SIGNATURE_INVALID',
    tamper: inTransaction(PayloadKind.openContract, (value: { lockUnits: bigint }) => {
      value.lockUnits += 1n
    }),
  },
  {
    name: 'a byte of a main-chain header',
    code: 'MAIN_AUXPOW_ROOT',
    tamper: inTransaction(PayloadKind.mainHeaders, (value: { headers: Uint8Array[] }) => {
      flip(value.headers[0] as Uint8Array, 40)
    }),
  },
  {
    name: 'a byte of an anchor’s proof',
    code: 'BLOCK_ROOT',
    tamper: inTransaction(PayloadKind.anchor, (value: { transaction: Uint8Array }) => {
      flip(value.transaction, value.transaction.length - 1)
    }),
  },
  {
    name: 'two blocks in each other’s place',
    code: 'EXPORT_ORDER',
    tamper: inBlocks((blocks) => [...blocks.slice(0, -2), ...blocks.slice(-2).reverse()]),
  },
  {
    name: 'a block left out',
    code: 'EXPORT_ORDER',
    tamper: inBlocks((blocks) => blocks.toSpliced(3, 1)),
  },
  {
    name: 'a vote in the justification of a block',
    code: 'JUSTIFICATION_ROOT',
    tamper: inBlock((block, height) => {
      if (height < 5 || block.justification === null) return false
      const bytes = fromHex(block.justification)
      flip(bytes, bytes.length - 1)
      block.justification = bytesToHex(bytes)
      return true
    }),
  },
  {
    name: 'the fee in a receipt',
    code: 'RECEIPT_OTHER',
    tamper: inReceipts((list, at, receipt) => {
      if (receipt.body.selector !== ReceiptKind.storage) return
      const { value, selector } = receipt.body
      const body = { selector, value: { ...value, fee: value.fee + 1n } }
      list[at] = { ...list[at], ssz: bytesToHex(ReceiptType.serialize({ ...receipt, body })) }
    }),
  },
  {
    name: 'a receipt left out',
    code: 'RECEIPT_OTHER',
    tamper: inReceipts((list, at) => void list.splice(at, 1)),
  },
  {
    name: 'a receipt that nothing left',
    code: 'RECEIPT_OTHER',
    tamper: inReceipts((list, at) => void list.splice(at, 0, { ...(list[at] as { ssz: string }) })),
  },
  {
    name: 'a sum of a statement',
    code: 'STATEMENT_OTHER',
    asksEpoch: true,
    tamper: () => (method, result) => {
      if (method !== 'rewards_getStatement') return result
      const sums = result as { paid: string }
      return { ...sums, paid: (BigInt(sums.paid) + 1n).toString() }
    },
  },
]
