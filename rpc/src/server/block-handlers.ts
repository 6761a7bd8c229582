import { bytesToHex } from '@ioex/chain/bytes'
import {
  BlockBodyType,
  type Certificate,
  CertificateType,
  HeaderType,
  JustificationType,
  PrunedBodyPartType,
  ReceiptType,
  transactionId,
  TransactionType,
} from '@ioex/chain/types'
import { HEADERS_MAX, RAW_BLOCKS_BYTES_MAX, RAW_BLOCKS_MAX } from '../contract/chain-methods.ts'
import type { CheckedParamsOf, ResultOf } from '../contract/methods.ts'
import { sszToJson } from '../contract/ssz-json.ts'
import type { BlockWaits } from './block-waits.ts'
import type { Handlers } from './handler.ts'
import type { LedgerBlock, LedgerSource } from './ledger-source.ts'
import { assertWhole } from './pruned-transactions.ts'
import { receiptView } from './record-views.ts'
import { invalidInput, notFound } from './rpc-fault.ts'
import { readHex } from './subjects.ts'

type HeaderEntry = ResultOf<'chain_getCertifiedHeaders'>['headers'][number]
type RawBlock = ResultOf<'chain_getRawBlocks'>['blocks'][number]

/** Serialized certified headers kept ready: every thin client asks for the same newest ones. */
const HEADERS_KEPT = 256

export function blockHandlers(ledger: LedgerSource, waits: BlockWaits) {
  const headers = new HeaderTexts(ledger)
  return {
    async chain_getBlock(params) {
      const block = await findBlock(ledger, params)
      return blockToJson(block, params.full ?? false, ledger.params.addressPrefix)
    },
    async chain_getCertifiedHeaders({ from, to, waitMs = 0 }, { signal }) {
      if (to < from) throw invalidInput('`to` lies before `from`')
      const reached = async () => (ledger.status().height >= from ? true : undefined)
      await waits.until(reached, waitMs, signal)
      const { height } = ledger.status()
      const found: HeaderEntry[] = []
      const end = Math.min(to, height, from + HEADERS_MAX - 1)
      for (let at = from; at <= end; at++) {
        const entry = await headers.at(at)
        if (!entry) break
        found.push(entry)
      }
      return { height, headers: found }
    },
    async chain_getRawBlocks({ from, to, pruned = false }) {
      if (to < from) throw invalidInput('`to` lies before `from`')
      const end = Math.min(to, ledger.status().height)
      const blocks: RawBlock[] = []
      let bytes = 0
      for (let at = from; at <= end; at++) {
        const block = await ledger.block(at)
        if (!block || (block.pruned && !pruned)) {
          throw notFound(`block ${at} is not whole on this node: ask an archive node`)
        }
        const raw = rawBlock(block)
        bytes += sszBytes(raw)
        // The first block always goes out, however large: the asker must be able to go on.
        const isFull = bytes > RAW_BLOCKS_BYTES_MAX || blocks.length === RAW_BLOCKS_MAX
        if (blocks.length > 0 && isFull) return { blocks, next: at }
        blocks.push(raw)
      }
      return { blocks, next: null }
    },
  } satisfies Handlers
}

async function findBlock(
  ledger: LedgerSource,
  { height, hash }: CheckedParamsOf<'chain_getBlock'>,
): Promise<LedgerBlock> {
  const tip = ledger.status().height
  if (hash !== undefined) {
    const at = await ledger.heightOfHash(readHex(hash))
    const block = at === undefined ? undefined : await ledger.block(at)
    if (!block) throw notFound('no final block has this hash')
    return block
  }
  const at = height ?? tip
  const block = await ledger.block(at)
  if (!block) throw notFound(`block ${at} is not final here: the newest is ${tip}`)
  return block
}

function blockToJson(block: LedgerBlock, full: boolean, prefix: string) {
  const { header, certificate, transactions, receipts } = block
  return {
    height: header.height,
    hash: bytesToHex(block.hash),
    header: sszToJson(HeaderType, header, prefix),
    certificate: certificate ? certificateToJson(certificate) : null,
    transactions: transactions.map((transaction) => {
      const id = bytesToHex(transactionId(transaction))
      if (!full) return id
      assertWhole(block, transaction)
      return {
        id,
        transaction: sszToJson(TransactionType, transaction, prefix),
        ssz: bytesToHex(TransactionType.serialize(transaction)),
      }
    }),
    receipts: receipts.map((receipt) =>
      full ? receiptView(receipt, prefix) : bytesToHex(ReceiptType.hashTreeRoot(receipt)),
    ),
    ssz: {
      header: bytesToHex(HeaderType.serialize(header)),
      certificate: certificateHex(certificate),
    },
  }
}

function certificateToJson(certificate: Certificate) {
  const { statement, signers } = certificate
  const indexes = Array.from({ length: signers.length * 8 }, (_, index) => index)
  return {
    scheme: certificate.scheme,
    kind: statement.kind,
    epoch: statement.epoch,
    view: statement.view,
    hash: bytesToHex(statement.hash),
    signers: indexes.filter((i) => (((signers[i >> 3] as number) >> (i & 7)) & 1) === 1),
  }
}

export function certificateHex(certificate: Certificate | undefined): string | null {
  return certificate ? bytesToHex(CertificateType.serialize(certificate)) : null
}

function rawBlock(block: LedgerBlock): RawBlock {
  const { header, transactions, pruned, justification, certificate } = block

  const body = pruned
    ? PrunedBodyPartType.serialize({ transactions: pruned.transactions })
    : BlockBodyType.serialize({ transactions: [...transactions] })
  return {
    height: header.height,
    header: bytesToHex(HeaderType.serialize(header)),
    body: bytesToHex(body),
    ...(pruned && { pruned: true as const }),
    justification: justification ? bytesToHex(JustificationType.serialize(justification)) : null,
    certificate: certificateHex(certificate),
  }
}

function sszBytes({ header, body, justification, certificate }: RawBlock): number {
  const digits =
    header.length + body.length + (justification?.length ?? 0) + (certificate?.length ?? 0)
  return digits / 2
}

/** Newest headers in their wire form. Final blocks never change, so nothing here goes stale. */
class HeaderTexts {
  readonly #ledger: LedgerSource
  #kept = new Map<number, HeaderEntry>()

  constructor(ledger: LedgerSource) {
    this.#ledger = ledger
  }

  async at(height: number): Promise<HeaderEntry | undefined> {
    const kept = this.#kept.get(height)
    if (kept) return kept
    const found = await this.#ledger.certifiedHeader(height)
    if (!found) return undefined
    const entry = {
      height,
      header: bytesToHex(HeaderType.serialize(found.header)),
      certificate: certificateHex(found.certificate),
    }
    this.#kept.set(height, entry)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > HEADERS_KEPT && oldest !== undefined) this.#kept.delete(oldest)
    return entry
  }
}
