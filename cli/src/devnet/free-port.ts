import { createServer } from 'node:net'

/** A port of loopback that was free a moment ago, chosen by the system. */
export function freePort(): Promise<number> {
  return listenOnce(0)
}

/** Rejects with EADDRINUSE where something already listens on the port. */
export function assertPortFree(port: number): Promise<number> {
  return listenOnce(port)
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      const bound = typeof address === 'object' && address ? address.port : port
      server.close(() => resolve(bound))
    })
  })
}
