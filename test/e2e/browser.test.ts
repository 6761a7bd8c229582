import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { formatAddress, fromHex } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { presets } from '@ioex/genesis/presets'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findProgram } from '../../scripts/debian-packages.ts'
import { launchChromium } from './browser/chromium.ts'
import type * as Questions from './browser/light-questions.ts'
import { askLightClient, askSeparately, type LightAnswers } from './browser/light-questions.ts'
import { bundleScript, type ServedPage, servePage } from './browser/served-page.ts'
import { SmallChain } from './browser/small-chain.ts'
import { TamperingNode } from './contribution/tampering-node.ts'

/** The encoding of each record, transaction and receipt in an answer, false by one bit. */
function falsified(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer), (key, value: unknown) => {
    if ((key !== 'record' && key !== 'ssz') || typeof value !== 'string') return value
    return value.slice(0, -1) + (Number.parseInt(value.slice(-1), 16) ^ 1).toString(16)
  })
}

const root = resolve(import.meta.dirname, '../..')
const program = findProgram('chromium')
/** A name that the browser resolves to loopback, as one rebound by its owner would. */
const FOREIGN = 'page.example'

/** What the bundle leaves in the page. */
declare const page: typeof Questions & {
  provenBalance(nodes: readonly string[], address: string): Promise<bigint>
}
/** Of every page. */
declare const localStorage: { getItem(name: string): string | null }

describe('the light client in a browser', () => {
  let chain: SmallChain
  let browser: Browser
  let served: ServedPage
  let tab: Page
  let liar: TamperingNode
  beforeEach(({ skip }) => skip(program.path === undefined, program.reason))
  beforeAll(async () => {
    if (program.path === undefined) return
    // Node checks with the native library, the page in JavaScript: they must agree.
    await installNativeCrypto()
    chain = await SmallChain.create()
    // The example of the documentation and the questions of this test, in one page.
    const text = await readFile(join(root, 'docs/protocol/light-client.md'), 'utf8')
    const example = /```ts\n([^]*?)```/.exec(text)?.[1]
    const source = `${example}\nexport * from './light-questions.ts'\n`
    const script = await bundleScript(join(root, 'test/e2e/browser/page.ts'), source)
    served = await servePage(script, { '/genesis.json': chain.genesis })
    const rebound = `--host-resolver-rules=MAP ${FOREIGN} 127.0.0.1`
    browser = await launchChromium(program.path, [rebound])
    tab = await browser.newPage()
    await tab.goto(served.url)
  })
  afterAll(async () => {
    await browser?.close()
    await served?.close()
    await liar?.stop()
    await chain?.close()
  })

  /** Asks from within a page, which reads the genesis file from where it came. */
  function askIn(
    from: Page,
    endpoints: readonly string[],
    way: 'askLightClient' | 'askSeparately' = 'askLightClient',
  ): Promise<LightAnswers> {
    const { questions } = chain
    return from.evaluate(
      async (given) => {
        const genesis = await (await fetch('/genesis.json')).text()
        return page[given.way](genesis, given.endpoints, given.questions)
      },
      { endpoints, questions, way },
    )
  }

  const askHere = (endpoints: readonly string[], names?: Questions.QuestionName[]) =>
    askLightClient(chain.genesis, endpoints, chain.questions, names)

  test('proves accounts, an absent one, a rail, receipts and a reward as in Node', async () => {
    const endpoints = [await chain.serve(), await chain.serve()]
    const answers = await askIn(tab, endpoints)
    expect(answers).toEqual(await askHere(endpoints))
    const { account, absent, rail, receipts, reward } = answers
    expect(JSON.parse(account ?? '')).toMatchObject({ address: chain.questions.account })
    expect(absent).toBe('null')
    expect(JSON.parse(rail ?? '')).toMatchObject({ live: true, node: 0 })
    expect((JSON.parse(receipts ?? '') as { receipts: [] }).receipts).toHaveLength(2)
    expect(JSON.parse(reward ?? '')).toMatchObject({ fees: '1000000000', subsidy: '50000000' })
  })

  test('refuses every answer that is false by one bit, and asks another node', async () => {
    const honest = await chain.serve()
    liar = await TamperingNode.start(honest, (_method, result) => falsified(result))
    const { head, ...refused } = await askIn(tab, [liar.url], 'askSeparately')
    expect({ head, ...refused }).toEqual(
      await askSeparately(chain.genesis, [liar.url], chain.questions),
    )
    expect(refused).toEqual(
      Object.fromEntries(Object.keys(refused).map((name) => [name, 'FALSE_PROOF'])),
    )
    const endpoints = [liar.url, honest]
    expect(await askIn(tab, endpoints)).toEqual(await askHere(endpoints.slice(1)))
  })

  test('the example of the documentation proves a balance, and starts again from there', async () => {
    const visitor = await browser.newPage()
    const endpoints = [await chain.serve(), await chain.serve()]
    const address = formatAddress(fromHex(chain.questions.account), presets.ci.addressPrefix)
    const visit = async () => {
      await visitor.goto(served.url)
      return visitor.evaluate(
        async ([nodes, whose]) => {
          const before = localStorage.getItem('trust')
          return [before, String(await page.provenBalance(nodes, whose))] as const
        },
        [endpoints, address] as const,
      )
    }
    const { account } = await askHere(endpoints, ['account'])
    const { balance } = JSON.parse(account ?? '') as { balance: string }
    expect(await visit()).toEqual([null, balance])
    expect(await visit()).toEqual([expect.stringContaining('"epoch":6'), balance])
  })

  test('a page of another site may ask only where the node allows its origin', async () => {
    const foreign = await browser.newPage()
    const origin = served.url.replace('127.0.0.1', FOREIGN)
    await foreign.goto(origin)
    const allowing = [await chain.serve({ allowedOrigins: [origin] })]
    expect(await askIn(foreign, allowing)).toEqual(await askHere(allowing))
    const refusing = await chain.serve()
    const asked = (url: string) =>
      foreign.evaluate(async (rpc) => {
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'chain_getStatus' })
        const headers = { 'content-type': 'application/json' }
        const reply = await fetch(rpc, { method: 'POST', headers, body })
        return reply.status
      }, `${url}/rpc`)
    expect(await asked(allowing[0] as string)).toBe(200)
    await expect(asked(refusing)).rejects.toThrow('Failed to fetch')
    const rebound = await foreign.goto(`${refusing.replace('127.0.0.1', FOREIGN)}/openrpc.json`)
    expect(rebound?.status()).toBe(403)
  })
})
