import { readdirSync, readFileSync } from 'node:fs'
import type { Browser } from 'playwright-core'

/**
 * Processor time, nanoseconds, of this process and of a running browser: its pages, their threads
 * and what carries the calls to them.
 */
export async function browserClock(browser: Browser): Promise<() => number> {
  const session = await browser.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  const folders = processInfo.map(({ id }) => `/proc/${id}/task`)
  return () => {
    const { user, system } = process.cpuUsage()
    return folders.reduce((sum, folder) => sum + threadsTime(folder), (user + system) * 1000)
  }
}

/** The first figure of a thread's schedstat is the time it ran, nanoseconds. */
function threadsTime(folder: string): number {
  let sum = 0
  for (const thread of readdirSync(folder)) {
    try {
      sum += Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ', 1)[0])
    } catch {
      // It ended since the folder was read.
    }
  }
  return sum
}
