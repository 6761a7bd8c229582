import { isIP } from 'node:net'

/** Names under which a browser on this machine reaches a loopback listener. */
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/**
 * Guards a local listener against web pages. A page whose name was rebound to 127.0.0.1 still
 * sends its own name as Host; a page that opens a WebSocket sends its Origin.
 */
export class HostGuard {
  readonly #names: ReadonlySet<string>

  constructor(boundHost: string, allowedHosts: readonly string[]) {
    const bound = isIP(boundHost) === 6 ? `[${boundHost}]` : boundHost
    this.#names = new Set([...LOOPBACK_NAMES, bound, ...allowedHosts].map((n) => n.toLowerCase()))
  }

  /** `host` as in the header: name or address, with or without port. */
  allowsHost(host: string | undefined): boolean {
    const name = /^(\[[0-9a-f:.]+\]|[^:/@]+)(:[0-9]{1,5})?$/i.exec(host ?? '')?.[1]
    return name !== undefined && this.#names.has(name.toLowerCase())
  }

  /** No Origin (not a browser), or a page of an allowed host. */
  allowsOrigin(origin: string | undefined): boolean {
    if (origin === undefined) return true
    if (!URL.canParse(origin)) return false
    return this.allowsHost(new URL(origin).host)
  }
}
