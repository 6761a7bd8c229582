import { expect, test } from 'vitest'
import { isLoopback, prefixOf } from './network-prefix.ts'

test.each([
  ['203.0.113.7', '203.0.113.0/24'],
  ['::ffff:203.0.113.7', '203.0.113.0/24'],
  ['::FFFF:cb00:7107', '203.0.113.0/24'],
  ['2001:db8:1:2::3', '2001:db8:1::/48'],
  ['[2001:0DB8:0001:ffff:0:0:0:1]', '2001:db8:1::/48'],
  ['2001:db8::1', '2001:db8:0::/48'],
  ['fe80::1%eth0', 'fe80:0:0::/48'],
  ['::', '0:0:0::/48'],
  ['Home.Example.org', 'home.example.org'],
  ['1.2.3', '1.2.3'],
])('%s is of %s', (host, prefix) => {
  expect(prefixOf(host)).toBe(prefix)
})

test('this machine, in each way to write it', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', '::ffff:127.0.0.1', 'localhost']) {
    expect(isLoopback(host), host).toBe(true)
  }
  for (const host of ['128.0.0.1', '::2', '192.168.0.1', '127.example.org', '::ffff:10.0.0.1']) {
    expect(isLoopback(host), host).toBe(false)
  }
})
