import { type Browser, chromium } from 'playwright-core'

/**
 * Debian's chromium without a window. Its sandbox needs user namespaces and refuses to start as
 * root, so it is left out for root only: the browser opens no page but those of the test.
 */
export function launchChromium(executablePath: string, args: string[] = []): Promise<Browser> {
  const chromiumSandbox = process.getuid?.() !== 0
  return chromium.launch({ executablePath, chromiumSandbox, args })
}
