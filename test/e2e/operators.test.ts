import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../cli/src/devnet/free-port.ts'
import { COMPILE_CACHE, until } from './network-harness.ts'

const MAIN = fileURLToPath(new URL('../../cli/bin/ioex.js', import.meta.url))
const RESTART_DEADLINE_MS = 150_000
const PASSPHRASE = 'correct horse battery staple'

let folder: string

interface Process {
  readonly child: ChildProcess
  readonly text: () => string
  readonly ended: Promise<number | null>
}

/** An `ioex` process in the operators' folder. */
function start(...args: string[]): Process {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      IOEX_DEBUG: '',
      IOEX_PASSPHRASE_FILE: join(folder, 'pass'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { child, text: () => text, ended }
}

async function run(...args: string[]): Promise<Record<string, string>> {
  const { ended, text } = start(...args, '--json')
  expect(await ended, text()).toBe(0)
  return JSON.parse(text()) as Record<string, string>
}

function ready({ child, text }: Process): Promise<boolean> {
  return until('a node to be ready', async () => {
    if (child.exitCode !== null) throw new Error(text())
    return text().includes('is ready') || text().includes('Main chain at')
  })
}

describe('nodes of four operators, joined by a genesis file', () => {
  const running: Process[] = []
  const launch = async (...args: string[]) => {
    const launched = start(...args)
    running.push(launched)
    await ready(launched)
    return launched
  }
  let ports: {
    spare: number
    main: number
    p2p: number[]
    rpc: number[]
    health: number[]
    boot: number
  }
  let validators: Process[]
  const rpc = (i: number) => createRpcClient({ url: `http://127.0.0.1:${ports.rpc[i]}` })
  const height = async (i: number) => (await rpc(i).call('chain_getStatus', {})).height

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ioex-operators-'))
    await writeFile(join(folder, 'pass'), `${PASSPHRASE}\n`)
    const two = async () => [await freePort(), await freePort()]
    const [main, boot] = (await two()) as [number, number]
    ports = {
      spare: await freePort(),
      main,
      boot,
      p2p: await two(),
      rpc: await two(),
      health: [...(await two()), await freePort()],
    }

    const init = (...args: string[]) => run(...args, '--network', 'ci')
    const entries = [
      await init('validator', 'init', '--data', 'v1'),
      await init('validator', 'init', '--data', 'v2', '--no-passphrase', '--bond', '20000'),
    ]
    const boots = await init(
      'node',
      'init',
      '--role',
      'bootstrap',
      '--data',
      'b1',
      '--no-passphrase',
    )
    const files = entries.flatMap(({ path }) => ['--validator', path as string])
    const time = new Date().toISOString()
    await run(
      'genesis',
      'create',
      '--preset',
      'ci',
      '--time',
      time,
      ...files,
      '--bootstrap',
      boots.path as string,
      '--allocation',
      `${entries[0]?.owner}=1000`,
      '--allocation',
      `${entries[1]?.owner}=1`,
    )
    await run(
      'node',
      'init',
      '--role',
      'peer',
      '--genesis',
      'genesis.json',
      '--data',
      'p1',
      '--no-passphrase',
    )
    await launch('main-chain', '--genesis', 'genesis.json', '--data', 'm', '--port', `${main}`)
    const address = (i: number) => `/ip4/127.0.0.1/tcp/${ports.p2p[i]}/p2p/${entries[i]?.peerId}`
    const validator = (i: number) =>
      launch(
        'node',
        '--roles',
        'validator',
        '--genesis',
        'genesis.json',
        '--data',
        `v${i + 1}`,
        '--listen',
        `127.0.0.1:${ports.p2p[i]}`,
        '--rpc-port',
        `${ports.rpc[i]}`,
        '--main-chain',
        `http://127.0.0.1:${main}`,
        '--peers',
        address(1 - i),
        '--metrics',
        `${ports.health[i]}`,
        '--new-validator',
      )
    validators = await Promise.all([validator(0), validator(1)])
    const full = ports.rpc.map((port) => `http://127.0.0.1:${port}`).join(',')
    await writeFile(
      join(folder, 'b1.yaml'),
      `roles: bootstrap\ngenesis: genesis.json\ndata: b1\nlisten: 127.0.0.1:${boot}\n` +
        `fullNodes: ${full}\nmetrics: none\n`,
    )
    await launch('node', '--config', 'b1.yaml')
    await launch(
      'node',
      '--roles',
      'peer',
      '--genesis',
      'genesis.json',
      '--data',
      'p1',
      '--listen',
      'none',
      '--capacity',
      '1GiB',
      '--full-nodes',
      full,
      '--metrics',
      `${ports.health[2]}`,
      '--peers',
      `/ip4/127.0.0.1/tcp/${boot}/p2p/${boots.peerId}`,
    )
  }, 180_000)

  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await rm(folder, { recursive: true })
  })

  test('finalise blocks over an epoch boundary, alike', async () => {
    await until('block 12 at both', async () => (await height(0)) >= 12 && (await height(1)) >= 12)
    const blocks = await Promise.all(
      [0, 1].map((i) => rpc(i).call('chain_getBlock', { height: 12 })),
    )
    expect(blocks[1]?.hash).toBe(blocks[0]?.hash)
    expect(await rpc(0).call('nodes_list', { role: 'bootstrap' })).toMatchObject({
      nodes: [expect.anything()],
    })
  })

  test('show monitors how they are, each on a port of its own', async () => {
    const page = async (i: number, path: string) => {
      const response = await fetch(`http://127.0.0.1:${ports.health[i]}${path}`)
      return { status: response.status, text: await response.text() }
    }
    await until('all to be ready', async () => {
      const pages = await Promise.all([0, 1, 2].map((i) => page(i, '/readyz')))
      if (pages.some(({ status }) => status !== 200)) throw new Error(JSON.stringify(pages))
      return true
    })
    expect(await page(2, '/livez')).toEqual({ status: 200, text: 'ok\n' })
    expect((await page(0, '/nowhere')).status).toBe(404)
    const validator = (await page(0, '/metrics')).text
    for (const name of ['consensus_view', 'wal_bytes', 'validator_power', 'rpc_requests_total']) {
      expect(validator).toContain(`# TYPE ioex_${name}`)
    }
    expect(validator).toMatch(/^ioex_validator_power 10000$/m)
    expect(validator).toMatch(/^ioex_peers 1$/m)
    const names = validator.match(/^# TYPE \S+/gm) ?? []
    expect(new Set(names).size).toBe(names.length)
    expect((await page(2, '/metrics')).text).toMatch(/^ioex_chain_height [1-9]/m)
    const health = JSON.parse((await page(1, '/health')).text)
    expect(health).toMatchObject({ status: 'ok', nodes: [{ role: 'validator', peers: 1 }] })
    expect(health.nodes[0].validator.lastSigned).toBeGreaterThan(0)
  })

  test('change their terms and their consensus key while they run', async () => {
    const at = (i: number) => ['--data', `v${i + 1}`, '--rpc', `http://127.0.0.1:${ports.rpc[i]}`]
    const status = (i: number) =>
      run('validator', 'status', ...at(i), '--health', `http://127.0.0.1:${ports.health[i]}`)
    const set = ['validator', 'set', '--commission', '2.5', ...at(1)]
    expect(await run(...set)).toMatchObject({ state: 'final', commission: 250 })

    const before = await status(0)
    const rotated = await run('validator', 'rotate-key', ...at(0))
    expect(rotated.consensusKey).not.toBe(before.consensusKey)
    expect(rotated).toMatchObject({ state: 'final', commission: 0 })
    const keys = () => readdir(join(folder, 'v1', 'keys'))
    expect(await keys()).toContain('consensus-next.key')
    // Neither can finalise without the other, so blocks that go on carry votes of the new key.
    const first = Number(rotated.fromEpoch)
    const epoch = async () => (await rpc(0).call('chain_getStatus', {})).epoch
    await until('the epoch after the change', async () => (await epoch()) > first)
    expect(await status(0)).toMatchObject({ consensusKey: rotated.consensusKey, power: 10_000 })
    expect(await status(1)).toMatchObject({ commission: 250 })
    expect((await keys()).sort()).toEqual([
      'consensus-former-1.key',
      'consensus.key',
      'main-chain.key',
      'node.key',
    ])
  })

  test('see their validators and move their stake', async () => {
    const at = (i: number) => ['--data', `v${i + 1}`, '--rpc', `http://127.0.0.1:${ports.rpc[i]}`]
    const status = (i: number) =>
      run('validator', 'status', ...at(i), '--health', `http://127.0.0.1:${ports.health[i]}`)
    const before = await status(0)
    expect(before).toMatchObject({ power: 10_000, totalPower: 30_000, peers: 1, jailed: false })
    expect(before).toMatchObject({ missedViews: expect.any(Number), health: { status: 'ok' } })
    const other = await status(1)
    expect(other.owner).not.toBe(before.owner)

    const mine = at(0)
    expect(await run('validator', 'bond', '5', ...mine)).toMatchObject({ state: 'final' })
    const delegated = await run('validator', 'delegate', other.owner as string, '3', ...mine)
    expect(delegated).toMatchObject({ state: 'final', amount: '300000000' })
    await run('validator', 'delegate', other.owner as string, '2', ...mine)
    const back = ['validator', 'unbond', '1', '--validator', other.owner as string]
    expect(await run(...back, ...mine)).toMatchObject({ state: 'final' })
    const bond = BigInt(before.bond as string) + 500_000_000n
    expect(await status(0)).toMatchObject({ bond: bond.toString() })
    expect(await status(1)).toMatchObject({ delegated: '400000000' })
    expect(await run('validator', 'release', ...mine)).toMatchObject({
      released: [],
      waiting: [{ amount: '100000000' }],
    })
  })

  test('stop on SIGTERM with exit code 0 and go on where they were', async () => {
    const [, second] = validators as [Process, Process]
    const before = await height(0)
    second.child.kill('SIGTERM')
    expect(await second.ended, second.text()).toBe(0)
    // The same again, and a bootstrap node in its process.
    const again = await launch(
      'node',
      '--roles',
      'bootstrap,validator',
      '--genesis',
      'genesis.json',
      '--data',
      'v2',
      '--listen',
      `127.0.0.1:${ports.p2p[1]}`,
      '--bootstrap-listen',
      `${ports.spare}`,
      '--rpc-port',
      `${ports.rpc[1]}`,
      '--main-chain',
      `http://127.0.0.1:${ports.main}`,
      '--metrics',
      'none',
    )
    // It listens for another signer of its key before it votes, and neither can do without it.
    await until('new blocks', async () => (await height(1)) > before + 5, RESTART_DEADLINE_MS)
    await until('its second role', async () => again.text().includes('bootstrap is ready'))
    again.child.kill('SIGTERM')
    expect(await again.ended, again.text()).toBe(0)
  })
})
