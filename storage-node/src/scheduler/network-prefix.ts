import { isIP } from 'node:net'

/** Groups of an IPv6 address that make its /48. */
const PREFIX_GROUPS = 3

/**
 * The part of a host that whoever has one address of it has many of: the /24 of an IPv4 address
 * (mapped ones too), the /48 of an IPv6 address (PROTOCOL 7, 10). A name stands for itself.
 */
export function prefixOf(host: string): string {
  const bare = bareHost(host)
  if (isIP(bare) === 4) return `${bare.split('.').slice(0, 3).join('.')}.0/24`
  if (isIP(bare) !== 6) return bare
  const groups = groupsOf(bare)
  return mappedPrefix(groups) ?? `${groups.slice(0, PREFIX_GROUPS).join(':')}::/48`
}

/** True for this machine itself. */
export function isLoopback(host: string): boolean {
  const bare = bareHost(host)
  if (isIP(bare) === 0) return bare === 'localhost'
  return prefixOf(bare).startsWith('127.') || isIPv6Loopback(bare)
}

function isIPv6Loopback(bare: string): boolean {
  return isIP(bare) === 6 && groupsOf(bare).join(':') === '0:0:0:0:0:0:0:1'
}

/** Without the brackets and zone of an IPv6 address, in lower case. */
function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/%.*$/, '')
}

/** The eight groups of an IPv6 address, hex without leading zeros. */
function groupsOf(address: string): string[] {
  // The parser of URLs writes dotted tails as groups and drops leading zeros.
  const canonical = new URL(`http://[${address}]`).hostname.replace(/^\[|\]$/g, '')
  const [head = '', tail] = canonical.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...gap, ...right]
}

/** The /24 of ::ffff:a.b.c.d, as a socket of both families writes an IPv4 address. */
function mappedPrefix(groups: readonly string[]): string | undefined {
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return undefined
  const [high = 0, low = 0] = groups.slice(6).map((group) => Number.parseInt(group, 16))
  return `${high >> 8}.${high & 0xff}.${low >> 8}.0/24`
}
