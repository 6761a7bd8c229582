// First of all imports: it gives the SSZ library what a browser lacks.
import { LightChainClient, RpcError, trustInGenesis } from '@ioex/rpc/client'
import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import { readGenesisFile } from '@ioex/genesis/builder'

/** What is asked of a chain; addresses and ids as hex. */
export interface LightQuestions {
  readonly account: string
  readonly absent: string
  readonly rail: number
  readonly transaction: string
  readonly node: string
  readonly epoch: number
}

const questions = {
  head: (client: LightChainClient) => client.head(),
  account: (client, { account }) => client.account(fromHex(account)),
  absent: (client, { absent }) => client.account(fromHex(absent)),
  rail: (client, { rail }) => client.rail(rail),
  receipts: (client, { transaction }) => client.outcome(transaction, 0),
  reward: (client, { node, epoch }) => client.statement(fromHex(node), epoch),
} satisfies Record<string, (client: LightChainClient, asked: LightQuestions) => Promise<unknown>>

export type QuestionName = keyof typeof questions
export const questionNames = Object.keys(questions) as QuestionName[]

/** Each answer as JSON text, or the reason for which there is none. */
export type LightAnswers = Readonly<Partial<Record<QuestionName, string>>>

/**
 * Follows a chain from its genesis file and asks; the same code in Node and in a page, which calls
 * it as `page.askLightClient`.
 */
export async function askLightClient(
  genesisText: string,
  endpoints: readonly string[],
  asked: LightQuestions,
  names = questionNames,
): Promise<LightAnswers> {
  const genesis = readGenesisFile(genesisText)
  if (!genesis.ok) throw new Error(genesis.fault.message)
  const client = new LightChainClient({
    endpoints,
    params: genesis.value.params,
    start: trustInGenesis(genesis.value),
    allowSingleEndpoint: endpoints.length === 1,
    follows: 'tip',
  })
  const answers: Partial<Record<QuestionName, string>> = {}
  try {
    await client.start()
    for (const name of names) answers[name] = await textOf(questions[name](client, asked))
    return answers
  } finally {
    await client.close()
  }
}

/** As askLightClient, every question by a client of its own: none knows whom another refused. */
export async function askSeparately(
  genesisText: string,
  endpoints: readonly string[],
  asked: LightQuestions,
): Promise<LightAnswers> {
  const each = questionNames.map((name) => askLightClient(genesisText, endpoints, asked, [name]))
  return Object.assign({}, ...(await Promise.all(each))) as LightAnswers
}

async function textOf(answer: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify((await answer) ?? null, plain)
  } catch (error) {
    if (error instanceof RpcError) return error.reason
    throw error
  }
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return value instanceof Uint8Array ? bytesToHex(value) : value
}
