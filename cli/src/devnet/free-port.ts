import { createServer } from 'node:net'

/** Below the range from which systems take ports of outgoing connections, above well-known ones. */
const FIRST_PORT = 23_000
const LAST_PORT = 32_000
const given = new Set<number>()

/** A port of loopback that is free and was not given before by this process. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < LAST_PORT - FIRST_PORT; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    if (given.has(port)) continue
    given.add(port)
    try {
      return await assertPortFree(port)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`)
}

/** Rejects with EADDRINUSE where something already listens on the port. */
export function assertPortFree(port: number): Promise<number> {
  given.add(port)
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)))
  })
}
