import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readVectors } from './vector-file.ts'

/** Words about the vectors, for readers. */
const WORDS: ReadonlySet<string> = new Set(['note', 'source', 'verifies'])
const MAIN_NODE = 'recorded-main-node'

/**
 * Every part of every vector file, and the test that runs it: where nothing is named, the one
 * that is called like the file. A new file, part or case must find its place here.
 */
const PARTS: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  'addresses-keys': {
    one_code_many_prefixes: undefined,
    multisig_2of2: undefined,
    ecdsa: undefined,
    known_addresses: undefined,
    key_pairs: undefined,
    pubkey_to_address: undefined,
    address_to_program_hash: undefined,
    multisig_code_sample: undefined,
  },
  auxpow: { vectors: undefined, expected_index: undefined },
  'crosschain-addresses': { vectors: undefined },
  difficulty: { compact_bits: undefined },
  'dpos-confirm': {
    block_hash_internal: undefined,
    proposal_hash_internal: undefined,
    proposal_sign_data: undefined,
    raw: undefined,
    sponsor: undefined,
    view_offset: undefined,
    votes: undefined,
  },
  'headers-from-docs': { vectors: undefined },
  'main-blocks': { genesis: undefined, blocks: undefined },
  'negative-2026': { cases: undefined },
  'rpc-arbiter-to-main': { http_example: MAIN_NODE, methods: undefined },
  'rpc-arbiter-to-side': {
    http_example: undefined,
    methods: undefined,
    http_layer_errors: undefined,
  },
  schnorr: {
    address: undefined,
    aggregate_public_key: undefined,
    message: undefined,
    message_sha256d_of: undefined,
    public_keys: undefined,
    redeem_script: undefined,
    signature: undefined,
  },
  'side-auxpow': { chain: undefined, vectors: undefined, negative: undefined },
  'side-blocks': { blocks: undefined },
  'spv-p2p': {
    messages: undefined,
    merkleblocks: undefined,
    merkle_proof: undefined,
    txfilter_bloom: undefined,
    old_recharge_proof_sample: undefined,
    selective_filter: undefined,
  },
  transactions: { output_v9_vote: undefined, vectors: undefined },
  'withdraw-main': {
    arbiter_keys: undefined,
    accepted: undefined,
    rejected: MAIN_NODE,
    rpc_after: MAIN_NODE,
  },
}

/** Cases that must be refused, and recorded exchanges: the test, and what it calls them. */
const CASES: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>> = {
  'negative-2026': {
    'Fixed64 sum overflow (inflation)': ['negative-2026', 'Fixed64 sum overflow (inflation)'],
    'X-prefix input spent by a foreign program': [
      'negative-2026',
      'X-prefix input spent by a foreign program',
    ],
    'SideAuxPow carrying a non SideChainPow transaction': [
      'negative-2026',
      'SideAuxPow carrying a non SideChainPow transaction',
    ],
    'SideChainPow of another side chain (other SideGenesisHash)': [
      'negative-2026',
      'SideChainPow of another side chain (other SideGenesisHash)',
    ],
  },
  'side-auxpow': {
    'payload block hash flipped': ['side-auxpow', 'test.each(file.negative)'],
    'branch hash flipped': ['side-auxpow', 'test.each(file.negative)'],
  },
  auxpow: {
    'same construction but index computed with chain id 6 (index 5)': [
      'auxpow',
      'same construction but index computed with chain id 6',
    ],
    'same construction but index computed with chain id 6 (index 0)': [
      'auxpow',
      'same construction but index computed with chain id 6',
    ],
  },
  'withdraw-main': {
    'V1 m=3 of 5 (CRAgreementCount 4)': [MAIN_NODE, 'V1 m=3 of 5 (CRAgreementCount 4)'],
    'V1 code tail AE instead of AF': [MAIN_NODE, 'V1 code tail AE instead of AF'],
    'plain transfer spending an X output with an ordinary program of a stranger': [
      MAIN_NODE,
      'plain transfer spending an X output with an ordinary program of a stranger',
    ],
    'withdraw input that is not an X output': [MAIN_NODE, 'withdraw input that is not an X output'],
    '0x51 to another address': [MAIN_NODE, '0x51 to another address'],
  },
  'rpc-arbiter-to-main': {
    'getblockcount number': ['rpc-arbiter-to-main', "'getblockcount'"],
    'getallregistertransactions null': ['rpc-arbiter-to-main', "'getallregistertransactions'"],
    'getsmallcrosstransfertxs object': ['rpc-arbiter-to-main', "'getsmallcrosstransfertxs'"],
    'listunspent array': ['rpc-arbiter-to-main', "'listunspent'"],
    'sendrawtransaction error:43001:block validate error: coinbase transacti': [
      MAIN_NODE,
      'coinbase is locking',
    ],
    'sendrawtransaction string': [MAIN_NODE, "methods['sendrawtransaction']"],
    'sendrawtransaction error:43001:transaction validate error: payload cont': [
      MAIN_NODE,
      'Arbitrator is not matched',
    ],
    'getexistwithdrawtransactions null': ['rpc-arbiter-to-main', 'none.request_body'],
    'getexistwithdrawtransactions array': [MAIN_NODE, "kinds?.['array']"],
    'getutxosbyamount error:45002:not enough utxo': ['rpc-arbiter-to-main', 'poor.request_body'],
    'getutxosbyamount array': ['rpc-arbiter-to-main', "'getutxosbyamount'"],
  },
}

/** What the emulated Arbiter asks a side chain, each with the answer of the real one. */
const ASKED_OF_SIDE: readonly string[] = [
  'getblockcount number',
  'createauxblock object',
  'createauxblock error:-32603:internal error: Unknown Block',
  'submitsideauxblock string',
  'submitsideauxblock error:-32603:internal error: SideChain spv syncing no',
  'getillegalevidencebyheight empty',
  'getwithdrawtransactionsbyheight null',
  'getwithdrawtransactionsbyheight array',
  'sendrechargetransaction string',
  'sendrechargetransaction error:-32603:internal error: [checkRechargeToSideChai',
  'getexistdeposittransactions array',
  'wrong credentials',
  'content type not application/json nor text/plain (main)',
  'GET',
  'unknown method',
  'body not JSON',
  'id is echoed',
  'batch',
]

const folder = new URL('./', import.meta.url)
const runnerText = (name: string) => readFileSync(new URL(`${name}.test.ts`, folder), 'utf8')

describe('no vector lies there unread', () => {
  test('every file has its parts in the table', () => {
    const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
    expect(names.map((name) => name.replace('.json', '')).sort()).toEqual(Object.keys(PARTS).sort())
  })

  test.each(Object.entries(PARTS))('%s: every part is read by its runner', (file, parts) => {
    const keys = Object.keys(readVectors<object>(`${file}.json`))
    expect(keys.filter((key) => !WORDS.has(key)).sort()).toEqual(Object.keys(parts).sort())
    for (const [key, runner = file] of Object.entries(parts)) {
      expect(runnerText(runner), `${key} in ${runner}`).toMatch(new RegExp(`\\b${key}\\b`))
    }
  })

  test.each(Object.entries(CASES))('%s: every case has a runner', (file, cases) => {
    expect(casesOf(file).sort()).toEqual(Object.keys(cases).sort())
    for (const [name, [runner, mark]] of Object.entries(cases)) {
      expect(runnerText(runner), name).toContain(mark)
    }
  })

  test('only these files say what must be refused', () => {
    const negative = /"(negative|rejected|cases|methods)":/
    const files = Object.keys(PARTS).filter((file) =>
      negative.test(readFileSync(new URL(`${file}.json`, folder), 'utf8')),
    )
    // The emulated Arbiter looks each recorded exchange up by its method.
    expect(files.sort()).toEqual([...Object.keys(CASES), 'rpc-arbiter-to-side'].sort())
  })

  test('every recorded call of the Arbiter to a side chain is looked up', () => {
    const { methods, http_layer_errors } = readVectors<{
      methods: object
      http_layer_errors: readonly { case: string }[]
    }>('rpc-arbiter-to-side.json')
    const text = runnerText('rpc-arbiter-to-side')
    for (const method of Object.keys(methods)) expect(text, method).toContain(`'${method}'`)
    const kinds = casesOf('rpc-arbiter-to-side')
    const refused = http_layer_errors.map((error) => error.case)
    expect([...kinds, ...refused]).toEqual(ASKED_OF_SIDE)
  })
})

interface Named {
  readonly name: string
}

/** Names of the negative cases or recorded samples of a file. */
function casesOf(file: string): string[] {
  const vectors = readVectors<{
    cases?: readonly Named[]
    negative?: readonly Named[]
    rejected?: readonly Named[]
    vectors?: readonly { negative?: { what: string } }[]
    methods?: Record<string, { samples: object }>
  }>(`${file}.json`)
  const { cases = [], negative = [], rejected = [], methods = {} } = vectors
  return [
    ...[...cases, ...negative, ...rejected].map(({ name }) => name),
    ...(vectors.vectors ?? []).flatMap((vector) => vector.negative?.what ?? []),
    ...Object.entries(methods).flatMap(([method, { samples }]) =>
      Object.keys(samples).map((kind) => `${method} ${kind}`),
    ),
  ]
}
