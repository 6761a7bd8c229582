import { describe, expect, test } from 'vitest'
import { type MainNetworkName, openMainNode, parseMainNodeAddress } from './main-node.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'

describe('addresses of main nodes', () => {
  const good: [string, MainNetworkName, object][] = [
    ['http://127.0.0.1:20336', 'main', { kind: 'rpc', url: 'http://127.0.0.1:20336' }],
    ['https://ela.example.org/rpc', 'main', { kind: 'rpc' }],
    ['elap2p://127.0.0.1:20338', 'main', { host: '127.0.0.1', port: 20338, magic: 2017001 }],
    ['elap2p://node.example.org', 'main', { host: 'node.example.org', port: 20338 }],
    ['elap2p://node.example.org', 'regression', { port: 22338, magic: 2018201 }],
    ['elap2p://[2001:db8::1]:99', 'main', { host: '2001:db8::1', port: 99 }],
    ['elap2p://a:1?network=test', 'main', { port: 1, magic: MainNetMagic.test }],
    ['elap2p://a?network=main', 'regression', { port: 20338, magic: MainNetMagic.main }],
  ]
  test.each(good)('%s on %s', (text, network, expected) => {
    const address = parseMainNodeAddress(text, network)
    expect(address).toMatchObject({ ok: true, value: expected })
    if (!address.ok) return
    const start = { height: 0, hash: asInternalHash(new Uint8Array(32)) }
    const node = openMainNode('x', address.value, start)
    expect(node.rpc === undefined).toBe(address.value.kind === 'p2p')
  })

  test.each([
    '',
    'elsewhere',
    'ftp://a:1',
    'elap2p://',
    'elap2p://a:0',
    'elap2p://a:70000',
    'elap2p://user@a:1',
    'elap2p://a:1/path',
    'elap2p://a:1?network=moon',
    'elap2p://a:1?network=constructor',
  ])('"%s" is refused', (text) => {
    expect(parseMainNodeAddress(text, 'main')).toMatchObject({
      fault: { code: 'MAIN_NODE_ADDRESS' },
    })
  })
})
