import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NodeConfigSchema } from '../nodes/node-config.ts'
import { gatherNodeFlags, isFlagsFile, type NodeFlags } from './node-flags.ts'
import { planNode } from './node-plan.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-plan-'))
})
afterAll(() => rm(folder, { recursive: true }))

const PEER = '/ip4/10.0.0.1/tcp/20668/p2p/16Uiu2HAmAbc'
const validator: NodeFlags = {
  roles: ['validator'],
  genesis: '/g.json',
  data: '/d',
  mainChain: 'http://127.0.0.1:20336/',
}
const peer: NodeFlags = {
  roles: ['peer'],
  genesis: '/g.json',
  data: '/d',
  fullNodes: ['http://a:1', 'http://b:1'],
}
const codeOf = (flags: NodeFlags, network = 'main') => {
  try {
    planNode(flags, network)
    return 'ok'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('what flags make of a node', () => {
  test('ports by network, loopback only', () => {
    const [main] = planNode(validator, 'main')
    expect(main).toMatchObject({
      listen: { host: '127.0.0.1', port: 20_668 },
      rpc: { host: '127.0.0.1', port: 20_666 },
      metrics: { host: '127.0.0.1', port: 20_667 },
      mainChainUrl: 'http://127.0.0.1:20336',
      newValidator: false,
    })
    const [test] = planNode(validator, 'test')
    expect(test).toMatchObject({ listen: { port: 21_668 }, rpc: { port: 21_666 } })
    const { mainChain: _, ...own } = validator
    const [local] = planNode(own, 'local')
    expect(local).toMatchObject({ mainChainUrl: 'http://127.0.0.1:22336' })
  })

  test('a checkpoint that the operator vouches for', () => {
    const hash = 'ab'.repeat(32)
    for (const trustedCheckpoint of ['any', `3120:${hash}`]) {
      const [config] = planNode({ ...validator, trustedCheckpoint }, 'main')
      expect(config).toMatchObject({ trustedCheckpoint })
      expect(NodeConfigSchema.parse({ ...config })).toMatchObject({ trustedCheckpoint })
    }
    for (const trustedCheckpoint of ['none', `0:${hash}`, `3120:${hash}0`, hash, `x:${hash}`]) {
      expect(codeOf({ ...validator, trustedCheckpoint })).toBe('TRUSTED_CHECKPOINT_INVALID')
    }
  })

  test('more main-chain nodes to compare', () => {
    const mainChainOthers = ['http://10.0.0.2:20336/', 'https://main.example.org']
    const [config] = planNode({ ...validator, mainChainOthers }, 'main')
    const mainChainOtherUrls = ['http://10.0.0.2:20336', 'https://main.example.org']
    expect(config).toMatchObject({ mainChainOtherUrls })
    expect(NodeConfigSchema.parse(config)).toEqual(config)
    expect(codeOf({ ...validator, mainChainOthers: ['elsewhere'] })).toBe(
      'MAIN_CHAIN_OTHERS_INVALID',
    )
  })

  test('Confirms: off, of what nodes agree on, or of keys in a file beside the config', async () => {
    expect(planNode(validator, 'main')[0]).not.toHaveProperty('mainArbiters')
    for (const [given, planned] of [
      ['nodes', 'nodes'],
      ['keys.txt', '/etc/ioex/keys.txt'],
    ]) {
      const flags = await gatherNodeFlags({}, { IOEX_MAIN_ARBITERS: given }, '/etc/ioex', undefined)
      const [config] = planNode({ ...validator, ...flags }, 'main')
      expect(config).toMatchObject({ mainArbiters: planned })
      expect(NodeConfigSchema.parse(config)).toEqual(config)
    }
  })

  test('main-chain nodes over JSON-RPC or P2P', () => {
    const mainChain = 'elap2p://[2001:db8::1]:20338'
    const mainChainOthers = ['http://10.0.0.2:20336', 'elap2p://main.example.org?network=test']
    const [config] = planNode({ ...validator, mainChain, mainChainOthers }, 'main')
    expect(config).toMatchObject({ mainChainUrl: mainChain, mainChainOtherUrls: mainChainOthers })
    expect(NodeConfigSchema.parse(config)).toEqual(config)
    for (const wrong of ['elap2p://a/b', 'elap2p://u@a', 'ws://a:1', 'elap2p://a?network=moon']) {
      expect(codeOf({ ...validator, mainChain: wrong })).toBe('MAIN_CHAIN_INVALID')
    }
  })

  test('every plan is a config that a node accepts', () => {
    for (const flags of [validator, peer, { ...peer, roles: ['bootstrap'], announce: [] }]) {
      for (const config of planNode({ ...flags, peers: [PEER] }, 'main')) {
        expect(NodeConfigSchema.parse(config)).toEqual(config)
      }
    }
  })

  test('several roles in one process: own ports, and the own full node is enough', () => {
    const plans = planNode({ ...validator, roles: ['peer', 'validator'] }, 'main')
    expect(plans.map(({ role, listen }) => [role, listen?.port])).toEqual([
      ['validator', 20_668],
      ['peer', 20_678],
    ])
    expect(plans[1]).toMatchObject({ rpcUrls: ['http://127.0.0.1:20666'], asksOwnNode: true })
    expect(plans.map(({ metrics }) => metrics?.port)).toEqual([20_667, undefined])
  })

  test('a peer pays for further links when told so, three at most, within a price', () => {
    expect(planNode({ ...peer, peers: [PEER] }, 'main')[0]?.storage).not.toHaveProperty('paidLinks')
    const [config] = planNode({ ...peer, paidLinks: 2, peers: [PEER] }, 'main')
    expect(config?.storage).toMatchObject({ paidLinks: 2, linkPriceMax: '1000000' })
    expect(NodeConfigSchema.safeParse(config).success).toBe(true)
    expect(codeOf({ ...peer, paidLinks: 4 })).toBe('PAID_LINKS_INVALID')
  })

  test('flags of storage are refused where no role stores, by name', () => {
    const bootstrap = { ...peer, roles: ['bootstrap'] }
    const terms = { dailyTraffic: '1GiB', quietHours: '22:00-06:30', region: 'eu', asn: 64_500 }
    const prices = { price: '1', unitPrice: '1', linkPriceMax: '1' }
    const others = { capacity: '1GiB', paidLinks: 1, repair: true, leave: true, friends: ['a'] }
    for (const [name, value] of Object.entries({ ...terms, ...prices, ...others })) {
      expect(codeOf({ ...validator, [name]: value }), name).toBe('STORAGE_FLAGS_UNUSED')
      expect(codeOf({ ...bootstrap, [name]: value }), name).toBe('STORAGE_FLAGS_UNUSED')
      const both = { ...validator, roles: ['validator', 'peer'], [name]: value }
      expect(codeOf(both), name).not.toBe('STORAGE_FLAGS_UNUSED')
    }
    const flags = { ...validator, capacity: '1GiB', unitPrice: '1' }
    expect(() => planNode(flags, 'main')).toThrow(
      /--capacity \(IOEX_CAPACITY\), --unit-price \(IOEX_UNIT_PRICE\): leave that out, or add/,
    )
    expect(codeOf({ ...validator, repair: false })).toBe('ok')
  })

  test('flags of a role that the node does not have are refused, with what to do', () => {
    const bootstrap = { ...peer, roles: ['bootstrap'] }
    const own = {
      haltEpoch: 7,
      newValidator: true,
      rpcPort: 1,
      rpcPublic: true,
      openings: 'recent',
    }
    const main = { mainChain: 'http://a:1', mainChainOthers: ['http://a:1'], mainArbiters: 'nodes' }
    const http = { rpcHost: '::1', rpcAllowHost: ['a'], rpcAllowOrigin: ['*'] }
    const joining = { sync: 'full', trustedCheckpoint: 'any' }
    for (const [name, value] of Object.entries({ ...own, ...main, ...http, ...joining })) {
      expect(codeOf({ ...peer, [name]: value }), name).toBe('VALIDATOR_FLAGS_UNUSED')
      expect(codeOf({ ...bootstrap, [name]: value }), name).toBe('VALIDATOR_FLAGS_UNUSED')
      expect(codeOf({ ...validator, [name]: value }), name).toBe('ok')
    }
    for (const prices of [{ relayPrice: '1' }, { reservationPrice: '1' }]) {
      expect(codeOf({ ...validator, ...prices })).toBe('BOOTSTRAP_FLAGS_UNUSED')
      expect(codeOf({ ...peer, ...prices })).toBe('BOOTSTRAP_FLAGS_UNUSED')
      expect(codeOf({ ...bootstrap, ...prices })).toBe('ok')
    }
    expect(codeOf({ ...validator, fullNodes: ['http://a:1'] })).toBe('FULL_NODES_UNUSED')
    expect(() => planNode({ ...peer, haltEpoch: 7 }, 'main')).toThrow(
      'this node is no validator, but it is given --halt-epoch (IOEX_HALT_EPOCH): leave that out',
    )
  })

  test('flags of a second role are refused where the process has none of that kind', () => {
    const unused = 'SECOND_ROLE_FLAGS_UNUSED'
    const second = { bootstraps: [PEER], bootstrapListen: '1', peerListen: '2' }
    for (const [name, value] of Object.entries(second)) {
      for (const alone of [validator, peer, { ...peer, roles: ['bootstrap'] }]) {
        expect(codeOf({ ...alone, [name]: value }), name).toBe(unused)
      }
    }
    const withPeer = { ...validator, roles: ['validator', 'peer'] }
    expect(codeOf({ ...withPeer, bootstraps: [PEER], peerListen: '2' })).toBe('ok')
    expect(codeOf({ ...withPeer, bootstrapListen: '2' })).toBe(unused)
    const withBootstrap = { ...validator, roles: ['validator', 'bootstrap'] }
    expect(codeOf({ ...withBootstrap, bootstrapListen: '2', fullNodes: ['http://a:1'] })).toBe('ok')
    expect(codeOf({ ...withBootstrap, peerListen: '2' })).toBe(unused)
    expect(codeOf({ ...validator, bootstraps: [] })).toBe('ok')
  })

  test('the terms of an offer beside its prices, only where they are given', () => {
    const [plain] = planNode(peer, 'main')
    for (const term of ['bytesPerDay', 'quietHours', 'region', 'asn']) {
      expect(plain?.storage).not.toHaveProperty(term)
    }
    const terms = { dailyTraffic: '50GiB', quietHours: '22:00-06:30', region: 'eu', asn: 64_500 }
    const [config] = planNode({ ...peer, ...terms, peers: [PEER] }, 'main')
    expect(config?.storage).toMatchObject({
      bytesPerDay: 50 * 2 ** 30,
      quietHours: '22:00-06:30',
      region: 'eu',
      asn: 64_500,
    })
    expect(NodeConfigSchema.parse(config)).toEqual(config)
  })

  test.each([
    ['DAILY_TRAFFIC_INVALID', { dailyTraffic: 'much' }],
    ['DAILY_TRAFFIC_INVALID', { dailyTraffic: '0' }],
    ['QUIET_HOURS_INVALID', { quietHours: '22-6' }],
    ['QUIET_HOURS_INVALID', { quietHours: '24:00-06:00' }],
    ['QUIET_HOURS_INVALID', { quietHours: '06:00-06:00' }],
    ['REGION_INVALID', { region: 'ö'.repeat(9) }],
    ['ASN_INVALID', { asn: 0 }],
    ['ASN_INVALID', { asn: 2 ** 32 }],
  ])('%s for %j', (code, terms) => {
    expect(codeOf({ ...peer, ...terms })).toBe(code)
  })

  test('the terms of an offer come from variables and the file too', async () => {
    const path = join(folder, 'terms.yaml')
    await writeFile(path, 'region: eu\nquietHours: 22:00-06:30\nasn: 1\n')
    const env = { IOEX_DAILY_TRAFFIC: '1GiB', IOEX_ASN: '64500' }
    expect(await gatherNodeFlags({ region: 'us' }, env, folder, path)).toEqual({
      region: 'us',
      quietHours: '22:00-06:30',
      dailyTraffic: '1GiB',
      asn: 64_500,
    })
  })

  test('a peer that repairs, and one that leaves, only when asked', () => {
    expect(planNode(peer, 'main')[0]?.storage).not.toHaveProperty('leave')
    const [config] = planNode({ ...peer, repair: true, leave: true, peers: [PEER] }, 'main')
    expect(config?.storage).toMatchObject({ repair: true, leave: true })
    expect(NodeConfigSchema.parse(config)).toEqual(config)
  })

  test('a device that nobody can dial, amounts and sizes', () => {
    const flags = { ...peer, listen: 'none', capacity: '2GiB', price: '0.5' }
    expect(planNode(flags, 'main')[0]).toMatchObject({
      listen: null,
      storage: { capacityBytes: 2 ** 31, price: '50000000' },
    })
  })

  test.each([
    ['ROLES_MISSING', { genesis: '/g', data: '/d' }],
    ['ROLES_UNKNOWN', { ...validator, roles: ['miner'] }],
    ['ROLES_CONFLICT', { ...peer, roles: ['peer', 'bootstrap'] }],
    ['GENESIS_MISSING', { ...validator, genesis: undefined }],
    ['DATA_MISSING', { ...validator, data: undefined }],
    ['MAIN_CHAIN_MISSING', { ...validator, mainChain: undefined }],
    ['MAIN_CHAIN_INVALID', { ...validator, mainChain: 'localhost' }],
    ['FULL_NODES_MISSING', { ...peer, fullNodes: ['http://a:1'] }],
    ['FULL_NODES_MISSING', { ...peer, fullNodes: ['http://a:1', 'http://a:1/'] }],
    ['FULL_NODES_INVALID', { ...peer, fullNodes: ['a', 'http://b:1'] }],
    ['PEERS_INVALID', { ...validator, peers: ['10.0.0.1:20668'] }],
    ['PEERS_INVALID', { ...validator, peers: ['/ip4/10.0.0.1/tcp/20668'] }],
    ['LISTEN_INVALID', { ...validator, listen: 'none' }],
    ['LISTEN_INVALID', { ...validator, listen: 'example.org:1' }],
    ['PORT_INVALID', { ...validator, listen: '0.0.0.0:70000' }],
    ['ANNOUNCE_INVALID', { ...validator, announce: ['v1.example.org:20668'] }],
    ['ANNOUNCE_INVALID', { ...peer, announce: ['/dns4/p.example.org/tcp/20668'] }],
    ['RPC_EXPOSED', { ...validator, rpcHost: '0.0.0.0' }],
    ['RPC_ALLOW_ORIGIN_INVALID', { ...validator, rpcAllowOrigin: ['page.example'] }],
    ['PRICE_INVALID', { ...peer, price: 'cheap' }],
    ['CAPACITY_INVALID', { ...peer, capacity: 'all' }],
    ['FRIENDS_INVALID', { ...peer, friends: ['bob'] }],
  ] as [string, NodeFlags][])('%s', (code, flags) => {
    expect(codeOf(flags)).toBe(code)
  })

  test('open to others only when asked twice', () => {
    const open = { ...validator, rpcHost: '0.0.0.0', rpcPublic: true, listen: '0.0.0.0:20668' }
    expect(codeOf(open)).toBe('ok')
    expect(planNode(open, 'main')[0]).toMatchObject({ rpc: { host: '0.0.0.0', isPublic: true } })
    const rpcAllowOrigin = ['https://page.example/wallet', '*']
    expect(planNode({ ...open, rpcAllowOrigin }, 'main')[0]).toMatchObject({
      rpc: { allowedOrigins: ['https://page.example', '*'] },
    })
  })
})

describe('where flags come from', () => {
  test('flags win over variables, variables over the file; paths start where they are named', async () => {
    await writeFile(
      join(folder, 'node.yaml'),
      'roles: peer\ngenesis: g.json\ndata: from-file\nlisten: "1"\nname: file\n',
    )
    const env = {
      IOEX_LISTEN: '2',
      IOEX_NAME: 'variable',
      IOEX_FULL_NODES: 'http://a:1,http://b:1',
    }
    const flags = await gatherNodeFlags(
      { name: 'flag' },
      env,
      '/elsewhere',
      join(folder, 'node.yaml'),
    )
    expect(flags).toEqual({
      roles: ['peer'],
      genesis: join(folder, 'g.json'),
      data: join(folder, 'from-file'),
      listen: '2',
      name: 'flag',
      fullNodes: ['http://a:1', 'http://b:1'],
    })
    const own = await gatherNodeFlags({ data: 'd' }, {}, '/elsewhere', undefined)
    expect(own.data).toBe('/elsewhere/d')
  })

  test('a wrong name or value is named with its source', async () => {
    await writeFile(join(folder, 'odd.yaml'), 'rolls: peer\n')
    await writeFile(join(folder, 'broken.yaml'), 'roles: [peer\n')
    const from = (env: Record<string, string>, path?: string) =>
      gatherNodeFlags({}, env, folder, path).catch((error: Error) => error.message)
    expect(await from({}, 'odd.yaml')).toContain('odd.yaml')
    expect(await from({}, 'broken.yaml')).toContain('broken.yaml')
    expect(await from({}, 'none.yaml')).toContain('no config file')
    expect(await from({ IOEX_RPC_PORT: 'x' })).toContain('IOEX_* variables: rpcPort')
  })

  test('a file of the devnet is told from one of an operator', async () => {
    await writeFile(join(folder, 'devnet.json'), '{"name":"v","role":"validator"}')
    await writeFile(join(folder, 'mine.json'), '{"roles":"validator"}')
    expect(await isFlagsFile(join(folder, 'devnet.json'))).toBe(false)
    expect(await isFlagsFile(join(folder, 'mine.json'))).toBe(true)
  })
})
