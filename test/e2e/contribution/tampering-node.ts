import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Changes the result of one call; gives what is served instead. */
export type Tamper = (method: string, result: unknown) => unknown

/** What lets pages of any origin ask. */
const FOR_PAGES = {
  'access-control-allow-origin': '*',
  'access-control-allow-headers': 'content-type',
}

/** A node that serves another node's answers and falsifies some of them on the way. */
export class TamperingNode {
  readonly url: string
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(target: string, tamper: Tamper): Promise<TamperingNode> {
    const server = createServer((request, response) => {
      const answer = async () => {
        if (request.method === 'OPTIONS') return void response.writeHead(204, FOR_PAGES).end()
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const body = Buffer.concat(chunks).toString('utf8')
        const url = new URL(request.url ?? '/', target)
        const headers = { 'content-type': 'application/json' }
        const served = await fetch(url, { method: 'POST', body, headers })
        const answer = (await served.json()) as { result?: unknown }
        const { method } = JSON.parse(body) as { method: string }
        if (answer.result !== undefined) answer.result = tamper(method, answer.result)
        const shown = { ...headers, ...FOR_PAGES }
        response.writeHead(served.status, shown).end(JSON.stringify(answer))
      }
      answer().catch((error: unknown) => response.destroy(error as Error))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new TamperingNode(server)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
