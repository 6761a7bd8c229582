import { createServer } from 'node:net'

/** Below the range from which systems take ports of outgoing connections, above well-known ones. */
const FIRST_PORT = 23_000
const LAST_PORT = 32_000
const PORTS = LAST_PORT - FIRST_PORT
/** Processes that start networks at one time begin this far apart: a port found free is not yet
 * taken, so two of them must not look at the same ones. */
const PORTS_PER_PROCESS = 97
const given = new Set<number>()

/** A port of loopback that is free and was not given before by this process. */
export async function freePort(): Promise<number> {
  const first = (process.pid * PORTS_PER_PROCESS) % PORTS
  for (let attempt = 0; attempt < PORTS; attempt++) {
    const port = FIRST_PORT + ((first + attempt) % PORTS)
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
