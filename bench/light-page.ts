// First of all imports: it gives the SSZ library what a browser lacks.
import { EpochTrust, type RpcClient, trustFromJson } from '@ioex/rpc/client'
import { assert, decodeCanonical, fromHex } from '@ioex/chain/bytes'
import { acceptHeader, verifyRecordAt } from '@ioex/chain/light'
import { StateProofType } from '@ioex/chain/state'
import { CertificateType, HeaderType } from '@ioex/chain/types'

/** What a client that was away for a day gets to read, as JSON-RPC carries it: SSZ in hex. */
export interface LightDay {
  readonly chainId: string
  readonly epochBlocks: number
  /** Trust in the header that it knew last. */
  readonly trust: unknown
  /** One proof for each epoch since then. */
  readonly handovers: readonly string[]
  readonly tip: { readonly height: number; readonly header: string; readonly certificate: string }
  /** Accounts under the tip. */
  readonly records: readonly {
    readonly index: number
    readonly record: string
    readonly proof: string
  }[]
}

/**
 * Catches up as the light client does, by every epoch or in one skipping hop, and checks the
 * records under the newest header. Gives the epoch reached.
 */
export async function catchUp(day: LightDay, way: 'hops' | 'skip'): Promise<number> {
  const chain = { chainId: fromHex(day.chainId), epochBlocks: day.epochBlocks }
  const start = trustFromJson(day.trust, chain.chainId)
  assert(start, 'the bench says what is trusted')
  const trustingMs = way === 'skip' ? Number.MAX_SAFE_INTEGER : 0
  let trusted = start
  const onTrust = (newer: typeof start) => {
    trusted = newer
  }
  const trust = new EpochTrust({ chain, start, trustingMs, aheadMs: 0, onTrust })
  await trust.follow([day.tip], nodeOf(day))
  const header = decodeCanonical(HeaderType, fromHex(day.tip.header), 1024)
  const certificate = decodeCanonical(CertificateType, fromHex(day.tip.certificate), 8192)
  assert(header.ok && certificate.ok, 'the tip is well formed')
  const target = { header: header.value, certificate: certificate.value }
  assert(acceptHeader(trusted, target, chain).ok, 'the tip is final')
  for (const { index, record, proof } of day.records) {
    const proven = { record: fromHex(record), proof: StateProofType.deserialize(fromHex(proof)) }
    const found = verifyRecordAt(header.value.stateRoot, 'accounts', index, proven)
    assert(found.ok && found.value, 'the record stands under the tip')
  }
  return trust.epoch
}

/**
 * Catches up while timers run: how long it took and for how long they stood still at most, by the
 * clock on the wall.
 */
export async function watchedCatchUp(day: LightDay, way: 'hops' | 'skip') {
  const started = performance.now()
  let [last, longest] = [started, 0]
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  const watch = setInterval(look)
  await catchUp(day, way)
  clearInterval(watch)
  look()
  return {
    firstMilliseconds: Math.round(last - started),
    stillMilliseconds: Math.round(longest),
  }
}

/** A node that has the day's proofs, without a network between. */
function nodeOf(day: LightDay): RpcClient {
  const call = (_method: string, { from, to }: { from: number; to: number }) =>
    Promise.resolve({ proofs: day.handovers.slice(from - 1, to) })
  const callUnchecked = () => Promise.reject(new Error('only epoch proofs are asked for'))
  return { url: 'bench', call: call as never, callUnchecked }
}
