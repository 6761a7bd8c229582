import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build, type Plugin } from 'vite'

/**
 * One script of everything that `entry` imports, as a web developer's bundler makes it. With a
 * `source` there need be no file of this name.
 */
export async function bundleScript(entry: string, source?: string): Promise<string> {
  const given: Plugin = {
    name: 'given-source',
    resolveId: (id) => (id === entry && source !== undefined ? entry : undefined),
    load: (id) => (id === entry ? source : undefined),
  }
  const outputs = await build({
    configFile: false,
    logLevel: 'silent',
    plugins: [given],
    build: {
      lib: { entry, name: 'page', formats: ['iife'], fileName: 'page' },
      write: false,
      minify: true,
    },
  })
  const [script, ...others] = (outputs as unknown as { output: { code: string }[] }[]).flatMap(
    ({ output }) => output,
  )
  if (!script || others.length > 0) throw new Error('a bundle is one script')
  return script.code
}

export interface ServedPage {
  /** http://127.0.0.1:port */
  readonly url: string
  close(): Promise<void>
}

/** A page on loopback with one script, and files beside it by their path. */
export async function servePage(
  script: string,
  files: Readonly<Record<string, string>> = {},
): Promise<ServedPage> {
  const page = '<!doctype html><meta charset="utf-8"><script src="/page.js"></script>'
  const served: Record<string, string> = { ...files, '/': page, '/page.js': script }
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    const text = Object.hasOwn(served, path) ? served[path] : undefined
    const type = path === '/' ? 'text/html' : path.endsWith('.js') ? 'text/javascript' : 'text/json'
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': type }).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
