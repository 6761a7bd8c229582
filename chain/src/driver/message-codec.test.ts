import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MachineBench } from '../consensus/testing/machine-bench.ts'
import { VoteKind } from '../types/consensus-objects.ts'
import { BLOCK_BODY_BYTES_MAX } from '../types/transactions.ts'
import {
  CONSENSUS_FRAME_BYTES_MAX,
  decodeMessage,
  EMPTY_BODY,
  encodeMessage,
  type WireMessage,
} from './message-codec.ts'

const bench = new MachineBench({ self: undefined })
const { header, justification, leaderVote } = bench.propose(4)
const body = new Uint8Array(1000).fill(1)
const consensus = (message: Extract<WireMessage, { type: 'consensus' }>['message']) =>
  ({ type: 'consensus', message, body: EMPTY_BODY }) as const
const certificates = [1, 2, 3].map((view) => bench.certificate(VoteKind.nullify, view))
const samples: WireMessage[] = [
  {
    ...consensus({ type: 'proposal', proposal: { header, justification, leaderVote } }),
    body,
  },
  consensus({ type: 'vote', vote: leaderVote }),
  consensus({ type: 'certificate', certificate: certificates[0] as (typeof certificates)[number] }),
  consensus({
    type: 'bundle',
    bundle: { epoch: 1, view: 4, finalView: 0, certificates, votes: [leaderVote] },
  }),
  { type: 'blockRequest', hash: new Uint8Array(32).fill(9) },
  { type: 'block', block: { header, justification, body } },
]

/** Inputs of the fuzz test; `npm run fuzz` sets a million. */
const RUNS = Number(process.env['IOEX_FUZZ_RUNS'] ?? 2000)

describe('consensus wire codec', () => {
  test.each(samples.map((sample) => [sample] as const))(
    'every message comes back: %#',
    (sample) => {
      expect(decodeMessage(encodeMessage(sample))).toEqual({ ok: true, value: sample })
    },
  )

  test('changed, cut or made-up bytes give a value or a fault, never an exception', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc
        .tuple(fc.constantFrom(...samples), fc.nat(5000), fc.nat(255), fc.nat(5000))
        .map(([sample, at, value, cut]) => {
          const bytes = encodeMessage(sample).slice(0, cut + 1)
          bytes[at % bytes.length] = value
          return bytes
        }),
    )
    fc.assert(
      fc.property(any, (bytes) => {
        const decoded = decodeMessage(bytes)
        if (decoded.ok) expect(encodeMessage(decoded.value)).toEqual(bytes)
      }),
      { numRuns: RUNS },
    )
  })

  test('what is longer than its kind allows is refused before it is read', () => {
    for (const sample of samples) {
      const kind = encodeMessage(sample)[0] as number
      const huge = new Uint8Array(CONSENSUS_FRAME_BYTES_MAX + 1)
      huge[0] = kind
      expect(decodeMessage(huge)).toMatchObject({ ok: false, fault: { code: 'BYTES_TOO_LONG' } })
    }
    const full = new Uint8Array(BLOCK_BODY_BYTES_MAX)
    const block = { type: 'block', block: { header, justification, body: full } } as const
    expect(decodeMessage(encodeMessage(block)).ok).toBe(true)
  })
})
