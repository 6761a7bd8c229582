import { join } from 'node:path'
import { sha256, utf8ToBytes } from '@ioex/chain/bytes'
import type { Page } from 'playwright-core'
import { findProgram } from '../scripts/debian-packages.ts'
import { launchChromium } from '../test/e2e/browser/chromium.ts'
import { bundleScript, servePage } from '../test/e2e/browser/served-page.ts'
import { browserClock } from './browser-clock.ts'
import { type Comparison, repeated, type Scale, type Unmeasured } from './comparison.ts'
import { lightDay, validatorsOf } from './light-day.ts'
import type * as LightPage from './light-page.ts'
import { catchUp, type LightDay } from './light-page.ts'

/** What the bundle leaves in the page, and what is put there before it is timed. */
declare const page: typeof LightPage
declare let day: LightDay

const WAYS = ['hops', 'skip'] as const

/**
 * A light client that was away for a day and reads a proof set: in a page, which has no native
 * library, beside the same code in Node, which has.
 */
export async function* inBrowser(scale: Scale): AsyncGenerator<Comparison | Unmeasured> {
  const given = lightDay(scale)
  const size = `epochs=${given.handovers.length}/validators=${validatorsOf(scale).length}`
  const nameOf = (way: string) => `rpc/client::catch-up-in-chromium/way=${way}/${size}`
  const { path, reason } = findProgram('chromium')
  if (path === undefined) {
    for (const way of WAYS) yield { name: nameOf(way), unmeasured: reason }
    return
  }
  const served = await servePage(await bundleScript(join(import.meta.dirname, 'light-page.ts')))
  const browser = await launchChromium(path)
  try {
    for (const way of WAYS) {
      // A page of its own for each way, so that both begin with code that never ran.
      const tab = await browser.newPage()
      await tab.goto(served.url)
      const facts = { bytes: bytesOf(given, way), ...(await firstTime(tab, given, way)) }
      yield {
        name: nameOf(way),
        unit: 'days',
        work: 1,
        clock: await browserClock(browser),
        subject: repeated(() => tab.evaluate((chosen) => page.catchUp(day, chosen), way)),
        against: { name: 'the same in Node', workload: repeated(() => catchUp(given, way)) },
        result: sha256(utf8ToBytes(`${way} ${await catchUp(given, way)} ${given.tip.certificate}`)),
        facts,
      }
      await tab.close()
    }
  } finally {
    await browser.close()
    await served.close()
  }
}

/** As the user of a page has it: all of it once, and the longest time that the page stood still. */
function firstTime(tab: Page, given: LightDay, way: (typeof WAYS)[number]) {
  return tab.evaluate(
    async ([put, chosen]) => {
      day = put
      return page.watchedCatchUp(day, chosen)
    },
    [given, way] as const,
  )
}

function bytesOf({ handovers, tip, records }: LightDay, way: (typeof WAYS)[number]): number {
  const texts = [tip.header, tip.certificate, ...(way === 'hops' ? handovers : [])]
  for (const { record, proof } of records) texts.push(record, proof)
  return texts.reduce((sum, { length }) => sum + length / 2, 0)
}
