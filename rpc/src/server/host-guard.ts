import { isIP } from 'node:net'

/** Names under which a browser on this machine reaches a loopback listener. */
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Stands for every origin among the allowed ones. */
const ANY_ORIGIN = '*'

/** Whom a web page belongs to: nobody's page at all, ours, one that may read, or a stranger's. */
export type PageKind = 'none' | 'own' | 'reader' | 'stranger'

/**
 * Guards a local listener against web pages. A page whose name was rebound to 127.0.0.1 still
 * sends its own name as Host; a page that opens a WebSocket, or calls across origins, sends its
 * Origin.
 */
export class HostGuard {
  readonly #names: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>

  /** `allowedOrigins`: "https://page.example" each, or "*": pages that may read, without token. */
  constructor(
    boundHost: string,
    allowedHosts: readonly string[],
    allowedOrigins: readonly string[] = [],
  ) {
    const bound = isIP(boundHost) === 6 ? `[${boundHost}]` : boundHost
    this.#names = new Set([...LOOPBACK_NAMES, bound, ...allowedHosts].map((n) => n.toLowerCase()))
    this.#origins = new Set(allowedOrigins)
  }

  /** `host` as in the header: name or address, with or without port. */
  allowsHost(host: string | undefined): boolean {
    const name = /^(\[[0-9a-f:.]+\]|[^:/@]+)(:[0-9]{1,5})?$/i.exec(host ?? '')?.[1]
    return name !== undefined && this.#names.has(name.toLowerCase())
  }

  /** `origin` as in the header; a page without one of its own (a file, a sandbox) sends "null". */
  pageOf(origin: string | undefined): PageKind {
    if (origin === undefined) return 'none'
    if (URL.canParse(origin) && this.allowsHost(new URL(origin).host)) return 'own'
    const mayRead = this.#origins.has(origin) || this.#origins.has(ANY_ORIGIN)
    return mayRead ? 'reader' : 'stranger'
  }
}
